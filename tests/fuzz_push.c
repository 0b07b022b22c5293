// Input: the JSON of a configuration as an admin pushes it. It is taken whole or not at all, as
// `verify` said before; what a value is can be set again.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = { 3, 4 };
    static const char *const trusts[] = { "members", "writers", NULL };
    static const sykli_config_key own[] = {
        { .name = "mesh.port", .kind = SYKLI_KIND_U64, .fallback = "4370", .min = 1, .max = 65535,
          .local = true, .since = 1, .help = "" },
        { .name = "cache.trust", .kind = SYKLI_KIND_TEXT, .fallback = "members",
          .choices = trusts, .since = 2, .help = "" },
        { .name = "mesh.mdns", .kind = SYKLI_KIND_BOOL, .fallback = "true", .since = 1,
          .help = "" } };
    test t;
    sykli__config cfg;
    sykli_json_doc doc = { 0 };
    test_begin(&t, 0);
    FUZZ_CHECK(!sykli__config_init(&cfg, &t.mem, seed, &t.fault));
    for (int i = 0; i < 3; i++) FUZZ_CHECK(!sykli__config_key_add(&cfg, &own[i], &t.fault));
    if (!sykli_json_parse(&doc, &t.mem, (const char *)data, size, &t.fault)) {
        const sykli__config_version *before = cfg.current;
        int verified = sykli__config_verify(&cfg, SYKLI_CONFIG_pushed, &doc, &t.fault);
        FUZZ_CHECK(cfg.current == before);
        int applied = sykli__config_apply(&cfg, SYKLI_CONFIG_pushed, &doc, 7, &t.fault);
        FUZZ_CHECK(verified == applied);
        FUZZ_CHECK(applied ? cfg.current == before && cfg.pushed != 7 : cfg.pushed == 7);
        for (size_t i = 0; i < cfg.count && !applied; i++) {
            const char *name = cfg.entries[i].key.name;
            char *value = fuzz_text((const uint8_t *)sykli__config_get(&cfg, name), 4096);
            FUZZ_CHECK(!sykli__config_set(&cfg, SYKLI_CONFIG_override, name, value, &t.fault));
            FUZZ_CHECK(!strcmp(sykli__config_get(&cfg, name), value));
            free(value);
        }
    }
    sykli_json_free(&doc);
    sykli__config_free(&cfg);
    fuzz_end(&t);
    return 0;
}
