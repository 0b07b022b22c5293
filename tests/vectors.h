// Published vectors, read in place from a checkout beside this one. A clone without them tests
// with the few that stand in the test programs.
#ifndef VECTORS_H_INCLUDED
#define VECTORS_H_INCLUDED
#include "test.h"

typedef struct vectors {
    sykli_json_doc doc;
    sykli_buf text;
} vectors;

// Loads a file of $SYKLI_SHARED/vectors or ../shared/vectors.
//   returns  false and says `skipped` if it is not there
static inline bool vectors_open(test *t, vectors *v, const char *name)
{
    const char *shared = getenv("SYKLI_SHARED");
    char path[512];
    memset(&v->doc, 0, sizeof v->doc);
    sykli_buf_init(&v->text, &t->mem, SYKLI_TAG_base);
    snprintf(path, sizeof path, "%s/vectors/%s", shared && *shared ? shared : "../shared", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("skipped: %s is not there\n", path);
        return false;
    }
    uint8_t *room;
    size_t got = 1;
    while (got && (room = sykli_buf_grow(&v->text, 65536)) != NULL)
        v->text.size += got = fread(room, 1, 65536, file);
    fclose(file);
    int rc = v->text.error ? v->text.error
        : sykli_json_parse(&v->doc, &t->mem, (const char *)v->text.data, v->text.size, &t->fault);
    if (rc && !t->injected) test_fail(t, path, 0, "it can be read and parsed");
    return !rc;
}

static inline void vectors_close(vectors *v)
{
    sykli_json_free(&v->doc);
    sykli_buf_free(&v->text);
}

// Bytes of a hex string, at most `max`.   returns how many; 0 also if it is not there
static inline size_t vectors_hex(uint8_t *out, size_t max, const char *hex)
{
    size_t size = hex ? strlen(hex) / 2 : 0;
    if (!size || size > max || sykli_unhex(out, size, hex, 2 * size)) return 0;
    return size;
}

static inline size_t vectors_bytes(const vectors *v, uint32_t object, const char *key, uint8_t *out,
                                   size_t max)
{
    return vectors_hex(out, max, sykli_json_text(&v->doc, sykli_json_get(&v->doc, object, key)));
}

static inline const char *vectors_text(const vectors *v, uint32_t object, const char *key)
{
    const char *text = sykli_json_text(&v->doc, sykli_json_get(&v->doc, object, key));
    return text ? text : "";
}

static inline uint64_t vectors_u64(const vectors *v, uint32_t object, const char *key)
{
    uint64_t value = 0;
    sykli_json_u64(&v->doc, sykli_json_get(&v->doc, object, key), &value);
    return value;
}

#endif
