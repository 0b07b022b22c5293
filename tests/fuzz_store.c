// Input: the JSON of an entry as a peer may send it, or with a checksum, as it lies on disk. What
// is taken is written again as it was understood, and names no path outside of the project.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

static void check_paths(const sykli__store_entry *e)
{
    for (size_t i = 0; i < e->output_count; i++) {
        const char *path = e->outputs[i].path;
        FUZZ_CHECK(*path && *path != '/');
        for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
            FUZZ_CHECK(strcspn(p, "/") != 2 || memcmp(p, "..", 2));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    sykli__store_entry e, again;
    sykli_buf once, twice, disk;
    test_begin(&t, 0);
    sykli_buf_init(&once, &t.mem, SYKLI_TAG_host);
    sykli_buf_init(&twice, &t.mem, SYKLI_TAG_host);
    sykli_buf_init(&disk, &t.mem, SYKLI_TAG_host);
    sykli_buf_add(&disk, data, size);
    bool durable;
    const char *boot = disk.size ? sykli__store_entry_check(&disk, &durable) : NULL;
    FUZZ_CHECK(!boot || strlen(boot) < size);
    if (!sykli__store_entry_decode(&e, &t.mem, (const char *)data, size, &t.fault)) {
        check_paths(&e);
        FUZZ_CHECK(!sykli__store_entry_encode(&e, &once));
        FUZZ_CHECK(!sykli__store_entry_decode(&again, &t.mem, (char *)once.data, once.size,
                                              &t.fault));
        FUZZ_CHECK(!sykli__store_entry_encode(&again, &twice));
        FUZZ_CHECK(once.size == twice.size && !memcmp(once.data, twice.data, once.size));
        sykli__store_entry_free(&e);
        sykli__store_entry_free(&again);
    } else FUZZ_CHECK(t.fault.text[0]);
    sykli_buf_free(&once);
    sykli_buf_free(&twice);
    sykli_buf_free(&disk);
    fuzz_end(&t);
    return 0;
}
