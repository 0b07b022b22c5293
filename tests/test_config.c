// Live configuration: layers, checks, versions, pushes.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static const uint64_t seed[2] = { 3, 4 };
static const char *const trusts[] = { "members", "writers", NULL };
static const sykli_config_key port = { .name = "mesh.port", .kind = SYKLI_KIND_U64,
    .fallback = "4370", .min = 1, .max = 65535, .local = true, .since = 1, .help = "TCP port" };
static const sykli_config_key trust = { .name = "cache.trust", .kind = SYKLI_KIND_TEXT,
    .fallback = "members", .choices = trusts, .since = 2, .help = "whose results count" };
static const sykli_config_key mdns = { .name = "mesh.mdns", .kind = SYKLI_KIND_BOOL,
    .fallback = "true", .since = 1, .help = "" };
static const sykli_config_key token = { .name = "http.token", .kind = SYKLI_KIND_TEXT,
    .fallback = "members", .local = true, .secret = true, .choices = trusts, .since = 1,
    .help = "" };

static int open_config(test *t, sykli__config *cfg)
{
    int rc = sykli__config_init(cfg, &t->mem, seed, &t->fault);
    if (!rc) rc = sykli__config_key_add(cfg, &port, &t->fault);
    if (!rc) rc = sykli__config_key_add(cfg, &trust, &t->fault);
    if (!rc) rc = sykli__config_key_add(cfg, &mdns, &t->fault);
    return rc;
}

static int set(test *t, sykli__config *cfg, sykli_config_layer layer, const char *key,
               const char *value)
{
    t->fault.text[0] = 0;
    return sykli__config_set(cfg, layer, key, value, &t->fault);
}

static int apply(test *t, sykli__config *cfg, const char *json, uint64_t number)
{
    sykli_json_doc doc = { 0 };
    t->fault.text[0] = 0;
    int rc = sykli_json_parse(&doc, &t->mem, json, strlen(json), &t->fault);
    if (!rc) rc = sykli__config_apply(cfg, SYKLI_CONFIG_pushed, &doc, number, &t->fault);
    sykli_json_free(&doc);
    return rc;
}

static sykli_config_layer source(const sykli__config *cfg, const char *key)
{
    return cfg->current->values[sykli__config_find(cfg, key, NULL)].source;
}

static void defaults_are_in_force_at_first(test *t)
{
    sykli__config cfg;
    TRY(open_config(t, &cfg));
    const sykli__config_version *now = cfg.current;
    CHECK_INT(sykli__config_u64(now, SYKLI__CONFIG_workers), 0);
    CHECK_INT(sykli__config_u64(now, SYKLI__CONFIG_log_max), 64 << 20);
    CHECK_INT(sykli__config_u64(now, SYKLI__CONFIG_cache_max), 20ll << 30);
    CHECK_INT(sykli__config_u64(now, SYKLI__CONFIG_kill_grace), 5000);
    CHECK_INT(sykli__config_u64(now, SYKLI__CONFIG_leftover_grace), 1000);
    CHECK_INT(sykli__config_u64(now, sykli__config_find(&cfg, "mesh.mdns", NULL)), 1);
    CHECK_TEXT(sykli__config_get(&cfg, "mesh.port"), "4370");
    CHECK(!strncmp(sykli__config_get(&cfg, "cache.env"), "PATH,CC,", 8));
    CHECK(!sykli__config_get(&cfg, "mesh.pork"));
    CHECK_INT(source(&cfg, "workers"), SYKLI_CONFIG_fallback);
out:
    sykli__config_free(&cfg);
}

static void the_highest_layer_wins(test *t)
{
    sykli__config cfg;
    char text[2] = "0";
    TRY(open_config(t, &cfg));
    for (int layer = SYKLI_CONFIG_file; layer < SYKLI_CONFIG_LAYER_COUNT; layer++) {
        text[0] = (char)('0' + layer);
        TRY(set(t, &cfg, (sykli_config_layer)layer, "workers", text));
        CHECK_TEXT(sykli__config_get(&cfg, "workers"), text);
        CHECK_INT(source(&cfg, "workers"), layer);
    }
    TRY(set(t, &cfg, SYKLI_CONFIG_environment, "workers", "9")); // below others: not in force
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "5");
    TRY(set(t, &cfg, SYKLI_CONFIG_override, "workers", NULL));
    TRY(set(t, &cfg, SYKLI_CONFIG_command, "workers", NULL));
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "9");
    TRY(set(t, &cfg, SYKLI_CONFIG_environment, "workers", NULL));
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "2");
    CHECK_INT(source(&cfg, "workers"), SYKLI_CONFIG_pushed);
out:
    sykli__config_free(&cfg);
}

#define REFUSED(layer, key, value, code, message)                                                  \
    do { int rc_ = set(t, &cfg, SYKLI_CONFIG_##layer, key, value);                                 \
         CHECK_INT(rc_, code);                                                                     \
         if (!t->injected) CHECK_TEXT(t->fault.text, message); } while (0)

static void a_wrong_value_says_what_would_be_right(test *t)
{
    sykli__config cfg;
    uint64_t serial;
    TRY(open_config(t, &cfg));
    TRY(sykli__config_key_add(&cfg, &token, &t->fault));
    serial = cfg.current->serial;
    REFUSED(file, "workers", "many", SYKLI_EINVAL,
            "workers must be a whole number of at least 0 and at most 4096, not \"many\"");
    REFUSED(file, "workers", "4097", SYKLI_EINVAL,
            "workers must be a whole number of at least 0 and at most 4096, not \"4097\"");
    REFUSED(file, "workers", "", SYKLI_EINVAL,
            "workers must be a whole number of at least 0 and at most 4096, not \"\"");
    REFUSED(file, "workers", "99999999999999999999999", SYKLI_EINVAL, "workers must be a whole "
            "number of at least 0 and at most 4096, not \"99999999999999999999999\"");
    REFUSED(file, "cache.max_size", "1000", SYKLI_EINVAL,
            "cache.max_size must be a size like 20GB of at least 1.0 MB, not \"1000\"");
    REFUSED(file, "kill.grace", "2 hours\n", SYKLI_EINVAL, "kill.grace must be a duration like 5s "
            "of at least 0ms and at most 1h 0m, not \"2 hours?\"");
    REFUSED(file, "cache.trust", "all", SYKLI_EINVAL,
            "cache.trust must be one of members, writers, not \"all\"");
    REFUSED(file, "cache.env", "PATH\x1b]0;x", SYKLI_EINVAL, "cache.env must be at most 4096 bytes "
            "of UTF-8 text in one line, not \"PATH?]0;x\"");
    REFUSED(file, "mesh.mdns", "maybe", SYKLI_EINVAL,
            "mesh.mdns must be true or false, not \"maybe\"");
    REFUSED(file, "http.token", "hunter2", SYKLI_EINVAL,
            "http.token must be one of members, writers, not \"***\"");
    REFUSED(file, "worker", "4", SYKLI_ENOENT, "there is no key \"worker\", did you mean workers?");
    REFUSED(file, "zzzzzzzz", NULL, SYKLI_ENOENT,
            "there is no key \"zzzzzzzz\"; `sykli config get` lists them");
    REFUSED(pushed, "mesh.port", "1", SYKLI_EPERM, "mesh.port is local: only this machine's own "
            "file or owner changes it, it cannot be pushed");
    CHECK_INT(cfg.current->serial, serial); // nothing has changed
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "mesh.port", "1"));
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "mesh.mdns", "off"));
    CHECK_INT(cfg.current->serial, serial + 2);
out:
    sykli__config_free(&cfg);
}

static void whoever_started_with_a_version_keeps_it(test *t)
{
    sykli__config cfg;
    sykli__config_version *old = NULL, *older = NULL;
    uint64_t bytes;
    TRY(open_config(t, &cfg));
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "kill.grace", "10s"));
    bytes = t->mem.tags[SYKLI_TAG_config].bytes;
    old = sykli__config_hold(&cfg);
    older = sykli__config_hold(&cfg);
    CHECK(old == older);
    CHECK_INT(old->holders, 3);
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "kill.grace", "11s"));
    CHECK_INT(sykli__config_u64(old, SYKLI__CONFIG_kill_grace), 10000);
    CHECK_TEXT(old->values[SYKLI__CONFIG_kill_grace].text, "10s");
    CHECK_INT(sykli__config_u64(cfg.current, SYKLI__CONFIG_kill_grace), 11000);
    CHECK_INT(old->holders, 2);
    CHECK(t->mem.tags[SYKLI_TAG_config].bytes > bytes);
    sykli__config_drop(&cfg, old);
    old = NULL;
    CHECK_INT(older->holders, 1);
    sykli__config_drop(&cfg, older);
    older = NULL;
    CHECK_INT(t->mem.tags[SYKLI_TAG_config].bytes, bytes); // it died with its last holder
out:
    sykli__config_drop(&cfg, old);
    sykli__config_drop(&cfg, older);
    sykli__config_free(&cfg);
}

#define APPLY_REFUSED(json, code)                                                                  \
    do { int rc_ = apply(t, &cfg, json, 13);                                                       \
         if (t->injected) goto out;                                                                \
         CHECK_INT(rc_, code); } while (0)

static void a_push_is_applied_whole_or_not_at_all(test *t)
{
    sykli__config cfg;
    uint64_t serial;
    TRY(open_config(t, &cfg));
    TRY(apply(t, &cfg, "{\"workers\":8,\"cache.max_size\":\"7GB\",\"mesh.mdns\":false,"
                       "\"cache.env\":[\"PATH\",\"CC\"],\"kill.grace\":2.5}", 12));
    CHECK_INT(cfg.pushed, 12);
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "8");
    CHECK_INT(sykli__config_u64(cfg.current, SYKLI__CONFIG_cache_max), 7ll << 30);
    CHECK_INT(sykli__config_u64(cfg.current, SYKLI__CONFIG_kill_grace), 2500);
    CHECK_TEXT(sykli__config_get(&cfg, "cache.env"), "PATH,CC");
    CHECK_TEXT(sykli__config_get(&cfg, "mesh.mdns"), "false");
    serial = cfg.current->serial;
    APPLY_REFUSED("{\"workers\":9,\"mesh.port\":1}", SYKLI_EPERM);
    APPLY_REFUSED("{\"workers\":9,\"workes\":1}", SYKLI_ENOENT);
    APPLY_REFUSED("{\"workers\":9,\"mesh.mdns\":{\"a\":1}}", SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "mesh.mdns must be text, a number, true, false or a list of these");
    APPLY_REFUSED("[]", SYKLI_EINVAL);
    CHECK_INT(cfg.current->serial, serial);
    CHECK_INT(cfg.pushed, 12);
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "8");
    TRY(apply(t, &cfg, "{\"mesh.mdns\":null,\"cache.env\":[]}", 14)); // what it leaves out is unset
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "0");
    CHECK_TEXT(sykli__config_get(&cfg, "cache.env"), "");
    CHECK_INT(source(&cfg, "mesh.mdns"), SYKLI_CONFIG_fallback);
    CHECK_INT(cfg.current->serial, serial + 1); // in one step
out:
    sykli__config_free(&cfg);
}

static void a_push_can_be_tried_first(test *t)
{
    sykli__config cfg;
    sykli_json_doc good = { 0 }, bad = { 0 };
    uint64_t serial;
    TRY(open_config(t, &cfg));
    serial = cfg.current->serial;
    TRY(sykli_json_parse(&good, &t->mem, "{\"workers\":8}", 13, &t->fault));
    TRY(sykli_json_parse(&bad, &t->mem, "{\"workers\":-8}", 14, &t->fault));
    TRY(sykli__config_verify(&cfg, SYKLI_CONFIG_pushed, &good, &t->fault));
    CHECK(sykli__config_verify(&cfg, SYKLI_CONFIG_pushed, &bad, &t->fault) < 0);
    CHECK_INT(cfg.current->serial, serial);
out:
    sykli_json_free(&good);
    sykli_json_free(&bad);
    sykli__config_free(&cfg);
}

typedef struct watcher { sykli__config *cfg; char seen[128]; bool sets; } watcher;
static void watch(void *user, const char *key)
{
    watcher *w = (watcher *)user;
    size_t used = strlen(w->seen);
    snprintf(w->seen + used, sizeof w->seen - used, "%s=%s ", key, sykli__config_get(w->cfg, key));
    if (!w->sets) return;
    w->sets = false;
    sykli__config_set(w->cfg, SYKLI_CONFIG_override, "kill.grace", "7s", NULL);
}

static void changes_are_told(test *t)
{
    sykli__config cfg;
    watcher w = { &cfg, "", false };
    TRY(open_config(t, &cfg));
    cfg.changed = watch;
    cfg.changed_user = &w;
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "workers", "4"));
    TRY(set(t, &cfg, SYKLI_CONFIG_pushed, "workers", "4")); // another source, the same value
    CHECK_TEXT(w.seen, "workers=4 ");
    TRY(apply(t, &cfg, "{\"workers\":5,\"log.max_bytes\":\"1MB\"}", 1));
    CHECK_TEXT(w.seen, "workers=4 workers=5 log.max_bytes=1MB ");
    w.seen[0] = 0;
    w.sets = true; // and what hears of a change may make one
    TRY(apply(t, &cfg, "{\"workers\":6,\"log.max_bytes\":\"2MB\"}", 2));
    if (!t->injected) CHECK_TEXT(w.seen, "workers=6 kill.grace=7s log.max_bytes=2MB ");
out:
    sykli__config_free(&cfg);
}

static void keys_are_registered(test *t)
{
    sykli__config cfg;
    sykli_config_key key = trust;
    TRY(open_config(t, &cfg));
    CHECK_INT(sykli__config_key_add(&cfg, &key, &t->fault), SYKLI_EEXIST);
    CHECK_TEXT(t->fault.text, "key cache.trust is already there");
    key.name = "Cache.Trust";
    CHECK_INT(sykli__config_key_add(&cfg, &key, &t->fault), SYKLI_EINVAL);
    key.name = "cache.";
    CHECK_INT(sykli__config_key_add(&cfg, &key, &t->fault), SYKLI_EINVAL);
    key.name = "cache.trust2";
    key.fallback = "nobody";
    CHECK_INT(sykli__config_key_add(&cfg, &key, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "key cache.trust2 does not allow its own fallback");
    key.fallback = "writers";
    key.kind = SYKLI_KIND_F64;
    CHECK_INT(sykli__config_key_add(&cfg, &key, &t->fault), SYKLI_EINVAL);
    key.kind = SYKLI_KIND_TEXT;
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "workers", "3"));
    TRY(sykli__config_key_add(&cfg, &key, &t->fault));
    CHECK_TEXT(sykli__config_get(&cfg, "cache.trust2"), "writers");
    CHECK_TEXT(sykli__config_get(&cfg, "workers"), "3"); // what was set stays
out:
    sykli__config_free(&cfg);
}

typedef struct seen { sykli_emit emit; char text[1024]; } seen;
static int see(sykli_emit *to, const void *row)
{
    seen *s = (seen *)to;
    const sykli__config_row *r = (const sykli__config_row *)row;
    size_t used = strlen(s->text);
    bool asked = !strcmp(r->key, "workers") || !strcmp(r->key, "cache.max_size")
              || !strcmp(r->key, "kill.grace") || !strcmp(r->key, "http.token");
    if (!asked) return 0;
    snprintf(s->text + used, sizeof s->text - used, "%s=%s (%s", r->key, r->value,
             sykli__config_layer_names[r->source]);
    used = strlen(s->text);
    if (r->version != SYKLI_NULL_U64)
        snprintf(s->text + used, sizeof s->text - used, " v%d", (int)r->version);
    used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s) ", r->local ? ", local" : "");
    return 0;
}

static void keys_are_rows(test *t)
{
    sykli__config cfg;
    sykli_config_key secret = token;
    seen s = { { see, NULL, 0, NULL }, "" };
    secret.choices = NULL;
    TRY(sykli__config_init(&cfg, &t->mem, seed, &t->fault));
    TRY(sykli__config_key_add(&cfg, &secret, &t->fault));
    TRY(set(t, &cfg, SYKLI_CONFIG_file, "http.token", "hunter2"));
    TRY(set(t, &cfg, SYKLI_CONFIG_command, "kill.grace", "1m"));
    TRY(apply(t, &cfg, "{\"workers\":8}", 3));
    CHECK_INT(sykli__config_scan(&cfg, &s.emit), 0);
    CHECK_TEXT(s.text, "workers=8 (pushed v3) cache.max_size=20GB (default) kill.grace=1m "
                       "(command line) http.token=*** (file, local) ");
    for (size_t i = 0; i < sizeof sykli__config_row_columns / sizeof(sykli_column); i++)
        CHECK_INT(sykli__config_row_columns[i].visibility, SYKLI_VISIBLE_observer);
out:
    sykli__config_free(&cfg);
}

static void keys_have_variables(test *t)
{
    char out[SYKLI__CONFIG_NAME_MAX + 8];
    CHECK_TEXT(sykli__config_env_name("mesh.port", out), "SYKLI_MESH_PORT");
    CHECK_TEXT(sykli__config_env_name("log.max_bytes", out), "SYKLI_LOG_MAX_BYTES");
}

int main(int argc, char **argv)
{
    TEST_STORY(defaults_are_in_force_at_first);
    TEST_STORY(the_highest_layer_wins);
    TEST_STORY(a_wrong_value_says_what_would_be_right);
    TEST_STORY(whoever_started_with_a_version_keeps_it);
    TEST_STORY(a_push_is_applied_whole_or_not_at_all);
    TEST_STORY(a_push_can_be_tried_first);
    TEST_STORY(changes_are_told);
    TEST_STORY(keys_are_registered);
    TEST_STORY(keys_are_rows);
    TEST_STORY(keys_have_variables);
    return test_end(argc, argv);
}
