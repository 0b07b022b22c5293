// Stories of the store: whole or absent, whatever happens.
#define SYKLI_IMPLEMENTATION
#include "test.h"

// The digest of one file, by way of the stat cache.
static int digest_of(sykli__tree *t, const char *path, sykli_stat *stat, sykli_digest *out,
                     sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    int rc = sykli__tree_clean(path, clean, fault);
    if (rc) return rc;
    sykli__tree_file file = { .path = clean };
    rc = sykli__tree_stat(t, clean, &file.stat);
    if (!rc && file.stat.type != SYKLI_FILE_regular && file.stat.type != SYKLI_FILE_symlink)
        return sykli_fail(fault, SYKLI_EINVAL, "%s is not a file", path);
    if (!rc) rc = sykli__tree_digest_file(t, &file);
    if (rc < 0) return sykli_fail_sys(fault, rc, "%s cannot be read", path);
    *stat = file.stat;
    *out = file.digest;
    return 0;
}

static const char key_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char key_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

// A project and a store in folders of their own. Both are small and in /dev/shm where there is one.
typedef struct place {
    char base[64], root[80], cache[80], outside[80];
    sykli__tree tree;
    sykli__store store;
} place;

static void place_make(place *p)
{
    struct stat st;
    memset(p, 0, sizeof *p);
    bool memory = !stat("/dev/shm", &st) && !access("/dev/shm", W_OK);
    snprintf(p->base, sizeof p->base, "%s/sykli-store-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(p->base)) abort();
    snprintf(p->root, sizeof p->root, "%s/project", p->base);
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->base);
    snprintf(p->outside, sizeof p->outside, "%s/outside", p->base);
    if (mkdir(p->root, 0755) || mkdir(p->outside, 0755)) abort();
}

static int place_open(place *p, sykli_mem *mem, sykli_fault *fault)
{
    int rc = sykli__tree_open(&p->tree, mem, p->root, NULL, fault);
    return rc ? rc : sykli__store_open(&p->store, mem, p->cache, 0, fault);
}

static void place_close(place *p)
{
    sykli__store_close(&p->store);
    sykli__tree_close(&p->tree);
}

static void place_remove(place *p)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    place_close(p);
    sykli__tree_remove_at(&mem, SYKLI_CWD, p->base, 0);
}

static void put(const char *root, const char *path, const char *content, size_t size)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(name, 0755);
        *p = '/';
    }
    FILE *file = fopen(name, "w");
    if (!file || fwrite(content, 1, size, file) != size || fclose(file)) abort();
}

// Whether a file holds just this.
static bool holds(const char *root, const char *path, const char *content, size_t size)
{
    char name[512];
    static char got[(1 << 20) + 100];
    snprintf(name, sizeof name, "%s/%s", root, path);
    FILE *file = fopen(name, "r");
    if (!file) return false;
    size_t n = fread(got, 1, sizeof got, file);
    fclose(file);
    return n == size && !memcmp(got, content, size);
}

static int mode_of(const char *root, const char *path)
{
    char name[512];
    struct stat st;
    snprintf(name, sizeof name, "%s/%s", root, path);
    return lstat(name, &st) ? -1 : (int)(st.st_mode & 07777);
}

// Files and links below a folder, by the host's means; 0 if there is no such folder.
static int files_in(const char *base, const char *folder)
{
    char path[512];
    int count = 0;
    snprintf(path, sizeof path, "%s/%s", base, folder);
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_type == DT_DIR) count += e->d_name[0] == '.' ? 0 : files_in(path, e->d_name);
        else count++;
    if (dir) closedir(dir);
    return count;
}

// Stores one file and publishes it as the only output of an action.
static int publish(place *p, const char *key, const char *path, bool durable, sykli_fault *fault)
{
    sykli__store_entry e;
    sykli_stat stat;
    sykli__store_entry_init(&e, p->store.mem);
    int rc = sykli__tree_stat(&p->tree, path, &stat);
    if (!rc) rc = sykli__store_entry_add(&e, "out", path, stat.type, fault);
    if (!rc) rc = sykli__store_put_output(&p->store, &p->tree, &e.outputs[0], fault);
    e.created_ms = 1;
    if (!rc) rc = sykli__store_entry_put(&p->store, key, &e, durable, fault);
    sykli__store_entry_free(&e);
    return rc;
}

static int restore(place *p, const char *key, sykli_fault *fault)
{
    sykli__store_entry e;
    int rc = sykli__store_entry_get(&p->store, key, &e, fault);
    for (size_t i = 0; !rc && i < e.output_count; i++)
        rc = sykli__store_restore(&p->store, &e.outputs[i], &p->tree, fault);
    sykli__store_entry_free(&e);
    return rc;
}

static void an_output_comes_back(test *t)
{
    place p;
    place_make(&p);
    put(p.root, "out/app", "binary", 6);
    char name[128];
    snprintf(name, sizeof name, "%s/out/app", p.root);
    chmod(name, 04711); // no setuid survives
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(publish(&p, key_a, "out/app", false, &t->fault));
    TRY(sykli__tree_remove(&p.tree, "out", &t->fault));
    TRY(restore(&p, key_a, &t->fault));
    CHECK(holds(p.root, "out/app", "binary", 6));
    CHECK_INT(mode_of(p.root, "out/app"), 0755);
    put(p.root, "out/app", "a longer one", 12);
    TRY(restore(&p, key_a, &t->fault)); // over a file
    CHECK(holds(p.root, "out/app", "binary", 6));
    TRY(sykli__tree_remove(&p.tree, "out/app", &t->fault));
    put(p.root, "out/app/in/the/way", "x", 1);
    TRY(restore(&p, key_a, &t->fault)); // over a folder
    CHECK(holds(p.root, "out/app", "binary", 6));
    CHECK_INT(files_in(p.base, "project"), 1); // and nothing temporary is left
    CHECK_INT(restore(&p, key_b, &t->fault), t->injected ? t->fault.code : SYKLI_ENOENT);
out:
    place_remove(&p);
}

static void big_empty_and_linked_outputs_come_back(test *t)
{
    static char big[300001];
    place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 31 >> 3);
    put(p.root, "big", big, sizeof big);
    put(p.root, "empty", "", 0);
    char name[128];
    snprintf(name, sizeof name, "%s/link", p.root);
    if (symlink("big", name)) abort();
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(publish(&p, key_a, "big", false, &t->fault));
    TRY(sykli__tree_remove(&p.tree, "big", &t->fault));
    TRY(restore(&p, key_a, &t->fault));
    CHECK(holds(p.root, "big", big, sizeof big));
    TRY(publish(&p, key_b, "empty", false, &t->fault));
    TRY(sykli__tree_remove(&p.tree, "empty", &t->fault));
    TRY(restore(&p, key_b, &t->fault));
    CHECK(holds(p.root, "empty", "", 0));
    CHECK_INT(mode_of(p.root, "empty"), 0644);
    TRY(publish(&p, key_a, "link", false, &t->fault));
    TRY(sykli__tree_remove(&p.tree, "link", &t->fault));
    TRY(restore(&p, key_a, &t->fault));
    char text[16] = "";
    CHECK(readlink(name, text, sizeof text) == 3 && !memcmp(text, "big", 3));
out:
    place_remove(&p);
}

static void entry_fill(sykli__store_entry *e)
{
    snprintf(e->key, sizeof e->key, "%s", key_a);
    snprintf(e->scope_kind, sizeof e->scope_kind, "branch");
    snprintf(e->scope_id, sizeof e->scope_id, "feature/\"x\"");
    snprintf(e->scope_effective, sizeof e->scope_effective, "branch");
    snprintf(e->writer_id, sizeof e->writer_id, "%s", key_b);
    snprintf(e->writer_name, sizeof e->writer_name, "laptop");
    snprintf(e->origin_node, sizeof e->origin_node, "%s", key_b);
    snprintf(e->origin_boot, sizeof e->origin_boot, "boot");
    snprintf(e->origin_task, sizeof e->origin_task, "t\xc3\xa4st");
    snprintf(e->platform, sizeof e->platform, "linux x86_64 glibc 2.36");
    snprintf(e->fingerprint, sizeof e->fingerprint, "debian 12");
    memset(e->log.bytes, 7, 32);
    e->origin_run = UINT64_MAX;
    e->origin_attempt = 2;
    e->log_bytes = 12;
    e->exit_code = 3;
    e->duration_ms = 4;
    e->created_ms = 5;
}

static void an_entry_says_everything(test *t)
{
    sykli__store_entry e, got;
    sykli_buf json, again;
    sykli__store_entry_init(&e, &t->mem);
    sykli__store_entry_init(&got, &t->mem);
    sykli_buf_init(&json, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&again, &t->mem, SYKLI_TAG_host);
    entry_fill(&e);
    TRY(sykli__store_entry_add(&e, "o", "a/b", SYKLI_FILE_regular, &t->fault));
    TRY(sykli__store_entry_add(&e, "l", "a/l", SYKLI_FILE_symlink, &t->fault));
    for (size_t i = 0; i < 2; i++) memset(e.outputs[i].digest.bytes, 9, 32);
    e.outputs[0].mode = 0755;
    e.outputs[0].size_bytes = 1ull << 40;
    TRY(sykli__store_entry_encode(&e, &json));
    CHECK(!memchr(json.data, '\n', json.size));
    TRY(sykli__store_entry_decode(&got, &t->mem, (const char *)json.data, json.size, &t->fault));
    CHECK_TEXT(got.origin_task, "t\xc3\xa4st");
    CHECK_TEXT(got.scope_id, "feature/\"x\"");
    CHECK(got.origin_run == UINT64_MAX);
    CHECK(got.output_count == 2 && got.outputs[1].type == SYKLI_FILE_symlink);
    TRY(sykli__store_entry_encode(&got, &again));
    CHECK(again.size == json.size && !memcmp(again.data, json.data, json.size));
out:
    sykli__store_entry_free(&e);
    sykli__store_entry_free(&got);
    sykli_buf_free(&json);
    sykli_buf_free(&again);
}

// Replaces the first `from` in the text by `to`, decodes, and says with which code.
static int altered(test *t, const sykli_buf *json, const char *from, const char *to)
{
    sykli__store_entry e;
    sykli_buf text;
    sykli_buf_init(&text, &t->mem, SYKLI_TAG_host);
    const char *at = strstr((const char *)json->data, from);
    CHECK(at != NULL);
    if (at) {
        sykli_buf_add(&text, json->data, (size_t)(at - (const char *)json->data));
        sykli_buf_text(&text, to);
        sykli_buf_text(&text, at + strlen(from));
    }
    int rc = text.error ? text.error
           : sykli__store_entry_decode(&e, &t->mem, (const char *)text.data, text.size, &t->fault);
    if (!rc) sykli__store_entry_free(&e);
    sykli_buf_free(&text);
    return rc;
}

static void an_entry_from_a_stranger_is_read_strictly(test *t)
{
    static const struct { const char *from, *to; int code; } rows[] = {
        { "\"format\":1", "\"format\":1", 0 },
        { "\"format\":1", "\"format\":2", SYKLI_EUNSUPPORTED },
        { "\"format\":1,", "", SYKLI_EPARSE },
        { "\"format\":1", "\"format\":1,\"more\":1", SYKLI_EPARSE },
        { "\"format\":1", "\"format\":-1", SYKLI_EPARSE },
        { "\"format\":1", "\"format\":\"1\"", SYKLI_EPARSE },
        { "\"exit_code\":3", "\"exit_code\":1e99", SYKLI_EPARSE },
        { "\"writer_name\":\"laptop\"", "\"writer_name\":null", SYKLI_EPARSE },
        { "laptop", "0123456789012345678901234567890123456789012345678901234567890123456789",
          SYKLI_EPARSE },
        { "bbbb", "BBBB", SYKLI_EPARSE }, { "bbbb", "bbb", SYKLI_EPARSE },
        { "0909", "0a0g", SYKLI_EPARSE }, { "0909", "", SYKLI_EPARSE },
        { "\"mode\":\"0755\"", "\"mode\":\"0755\"", 0 },
        { "\"mode\":\"0755\"", "\"mode\":\"4755\"", SYKLI_EPARSE },
        { "\"type\":\"file\"", "\"type\":\"device\"", SYKLI_EPARSE },
        { "\"alg\":\"sha256tree\"", "\"alg\":\"md5\"", SYKLI_EPARSE },
        { "\"size\":1", "\"size\":1099511627777", SYKLI_EPARSE },
        { "\"size\":1", "\"size\":1,\"x\":1", SYKLI_EPARSE },
        { "\"outputs\":[", "\"outputs\":[1,", SYKLI_EPARSE },
        { "\"outputs\":[", "\"outputs\":[{},", SYKLI_EPARSE },
        { "a/b", "../b", SYKLI_EPARSE }, { "a/b", "/b", SYKLI_EPARSE },
        { "a/b", "a/../b", SYKLI_EPARSE }, { "a/b", "", SYKLI_EPARSE },
        { "a/b", "a\\u0001b", SYKLI_EPARSE }, { "a/b", "a\\u0000b", SYKLI_EINVAL },
        { "a/b", ".git/hooks/pre-commit", SYKLI_EPARSE }, { "a/b", ".sykli/x", SYKLI_EPARSE } };
    sykli__store_entry e;
    sykli_buf json;
    sykli__store_entry_init(&e, &t->mem);
    sykli_buf_init(&json, &t->mem, SYKLI_TAG_host);
    entry_fill(&e);
    TRY(sykli__store_entry_add(&e, "o", "a/b", SYKLI_FILE_regular, &t->fault));
    memset(e.outputs[0].digest.bytes, 9, 32);
    e.outputs[0].mode = 0755;
    e.outputs[0].size_bytes = 1;
    TRY(sykli__store_entry_encode(&e, &json));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = altered(t, &json, rows[i].from, rows[i].to);
        if (t->injected) goto out;
        if (rc != rows[i].code) printf("    row %zu: %s -> %s\n", i, rows[i].from, rows[i].to);
        CHECK_INT(rc, rows[i].code);
    }
    sykli__store_entry other;
    CHECK(sykli__store_entry_decode(&other, &t->mem, "[]", 2, &t->fault) < 0);
out:
    sykli__store_entry_free(&e);
    sykli_buf_free(&json);
}

static bool accept_branch(void *user, const sykli__store_entry *e)
{
    return !strcmp(e->scope_id, (const char *)user);
}

static void the_newest_entry_that_is_accepted_is_found(test *t)
{
    static const char *const ids[] = { "main", "17", "fix" };
    place p;
    char wanted[] = "main", none[] = "other";
    sykli__store_entry e = { 0 }, got = { 0 };
    sykli_buf json;
    place_make(&p);
    sykli_buf_init(&json, &t->mem, SYKLI_TAG_host);
    TRY(place_open(&p, &t->mem, &t->fault));
    for (uint64_t i = 0; i < 3; i++) {
        sykli__store_entry_init(&e, &t->mem);
        snprintf(e.scope_id, sizeof e.scope_id, "%s", ids[i]);
        e.created_ms = 10 * (i + 1);
        TRY(sykli__store_entry_put(&p.store, key_a, &e, false, &t->fault));
    }
    TRY(sykli__store_entry_get(&p.store, key_a, &got, &t->fault));
    if (!t->injected) CHECK_TEXT(got.scope_id, "fix");
    sykli__store_entry_free(&got);
    TRY(sykli__store_entry_find(&p.store, key_a, accept_branch, wanted, &got, &json, &t->fault));
    CHECK_TEXT(got.scope_id, "main");
    CHECK(json.size && json.data[0] == '{');
    sykli__store_entry_free(&got);
    CHECK_INT(sykli__store_entry_find(&p.store, key_a, accept_branch, none, &got, NULL, &t->fault),
              t->injected ? t->fault.code : SYKLI_ENOENT);
    CHECK_INT(sykli__store_entry_get(&p.store, "../../etc", &got, &t->fault), SYKLI_EINVAL);
    e.created_ms = 99; // the same writer and scope again: it takes the place of the old one
    TRY(sykli__store_entry_put(&p.store, key_a, &e, true, &t->fault));
    CHECK_INT(files_in(p.cache, "entries"), t->injected ? files_in(p.cache, "entries") : 3);
    sykli_buf_reset(&json);
    TRY(sykli__store_entry_load(&p.store, key_a, &json, &t->fault));
    CHECK(t->injected || strstr((const char *)json.data, "\"created_ms\":99"));
    CHECK_INT(sykli__store_entry_put_json(&p.store, key_b, (const char *)json.data, json.size,
                                          false, &t->fault), t->injected ? t->fault.code
                                                                         : SYKLI_EPARSE);
out:
    sykli__store_entry_free(&got);
    sykli_buf_free(&json);
    place_remove(&p);
}

static void an_entry_without_its_blob_is_none(test *t)
{
    place p;
    sykli__store_entry e = { 0 };
    place_make(&p);
    TRY(place_open(&p, &t->mem, &t->fault));
    sykli__store_entry_init(&e, &t->mem);
    TRY(sykli__store_entry_add(&e, "o", "a", SYKLI_FILE_regular, &t->fault));
    memset(e.outputs[0].digest.bytes, 9, 32);
    CHECK_INT(sykli__store_entry_put(&p.store, key_a, &e, false, &t->fault),
              t->injected ? t->fault.code : SYKLI_ENOENT);
    TRY(sykli__store_put_bytes(&p.store, "bytes", 5, &e.outputs[0].digest, &t->fault));
    e.outputs[0].size_bytes = 5;
    TRY(sykli__store_entry_put(&p.store, key_a, &e, false, &t->fault));
    sykli__store_path path = sykli__store_blob_path(&e.outputs[0].digest);
    TRY(t->sys.remove(t->sys.user, p.store.dir_fd, path.text, 0));
    CHECK_INT(restore(&p, key_a, &t->fault), t->injected ? t->fault.code : SYKLI_ENOENT);
    TRY(sykli__store_put_bytes(&p.store, "bytes", 5, &e.outputs[0].digest, &t->fault));
    TRY(restore(&p, key_a, &t->fault)); // the blob is back
    CHECK(holds(p.root, "a", "bytes", 5));
out:
    sykli__store_entry_free(&e);
    place_remove(&p);
}

static void a_writer_checks_what_it_is_given(test *t)
{
    place p;
    sykli_blob_writer *w;
    sykli_digest id, wrong, out;
    char piece[8];
    place_make(&p);
    sykli_tree_of("hello", 5, &id);
    memset(&wrong, 1, sizeof wrong);
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(sykli__store_writer_begin(&p.store, &id, 5, &w, &t->fault));
    if (sykli__store_writer_write(w, "hel", 3, &t->fault)
        || sykli__store_writer_write(w, "lo", 2, &t->fault)) {
        sykli__store_writer_abort(w);
        CHECK(t->injected);
        goto out;
    }
    TRY(sykli__store_writer_end(w, &out, &t->fault));
    CHECK(!memcmp(&out, &id, 32));
    uint64_t size = 0;
    CHECK(sykli__store_have(&p.store, &id, &size) || t->injected);
    CHECK(size == 5 || t->injected);
    TRY((int)sykli__store_read(&p.store, &id, 1, piece, 3, &t->fault));
    CHECK(t->injected || !memcmp(piece, "ell", 3));
    TRY(sykli__store_verify(&p.store, &id, &t->fault));
    TRY(sykli__store_writer_begin(&p.store, &wrong, 5, &w, &t->fault));
    sykli__store_writer_write(w, "hello", 5, NULL);
    CHECK(sykli__store_writer_end(w, &out, &t->fault) == (t->injected ? t->fault.code
                                                                      : SYKLI_ECORRUPT));
    CHECK(!sykli__store_have(&p.store, &wrong, NULL));
    TRY(sykli__store_writer_begin(&p.store, &id, 5, &w, &t->fault));
    CHECK(sykli__store_writer_write(w, "hello!", 6, NULL) == SYKLI_ECORRUPT);
    CHECK(sykli__store_writer_end(w, &out, &t->fault) == SYKLI_ECORRUPT);
    TRY(sykli__store_writer_begin(&p.store, &id, 5, &w, &t->fault));
    sykli__store_writer_write(w, "hell", 4, NULL);
    CHECK(sykli__store_writer_end(w, &out, &t->fault) < 0);
    CHECK_INT(sykli__store_writer_begin(&p.store, &id, UINT64_MAX, &w, &t->fault), SYKLI_ELIMIT);
    CHECK(t->injected || files_in(p.cache, "tmp") == 0);
out:
    place_remove(&p);
}

static void flip(const char *cache, const char *path, size_t at, int bit)
{
    char name[300];
    snprintf(name, sizeof name, "%s/%s", cache, path);
    chmod(name, 0644);
    FILE *file = fopen(name, "r+");
    if (!file || fseek(file, (long)at, SEEK_SET)) abort();
    int c = fgetc(file);
    if (fseek(file, (long)at, SEEK_SET) || fputc(c ^ 1 << bit, file) == EOF || fclose(file))
        abort();
}

static void a_flipped_bit_is_a_miss(test *t)
{
    place p;
    char name[32], content[64], key[65];
    place_make(&p);
    TRY(place_open(&p, &t->mem, &t->fault));
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "out%d", i);
        int size = snprintf(content, sizeof content, "content of output %d", i);
        put(p.root, name, content, (size_t)size);
        snprintf(key, sizeof key, "%064x", (unsigned)i);
        TRY(publish(&p, key, name, false, &t->fault));
        sykli_digest id;
        sykli_tree_of(content, (size_t)size, &id);
        flip(p.cache, sykli__store_blob_path(&id).text, (size_t)(i % size), i % 8);
        put(p.root, name, "mine", 4);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "out%d", i);
        snprintf(key, sizeof key, "%064x", (unsigned)i);
        TRY_INT(restore(&p, key, &t->fault), SYKLI_ECORRUPT);
        CHECK(holds(p.root, name, "mine", 4)); // nothing wrong was put in place
        TRY_INT(restore(&p, key, &t->fault), SYKLI_ENOENT); // from now on it is known
    }
    TRY_INT(files_in(p.cache, "quarantine"), 200);
    TRY_INT(files_in(p.cache, "blobs"), 0);
    TRY_INT(files_in(p.base, "project"), 200);
    snprintf(content, sizeof content, "content of output %d", 7);
    put(p.root, "out7", content, strlen(content));
    TRY(publish(&p, key_a, "out7", false, &t->fault)); // a new put heals
    put(p.root, "out7", "", 0);
    TRY(restore(&p, key_a, &t->fault));
    CHECK(holds(p.root, "out7", content, strlen(content)));
out:
    place_remove(&p);
}

static int find_path(void *to, sykli__store *s, const char *path)
{
    (void)s;
    snprintf((char *)to, 192, "%s", path);
    return 0;
}

static void a_damaged_entry_is_set_aside(test *t)
{
    place p;
    char path[192] = "";
    sykli_buf good;
    place_make(&p);
    sykli_buf_init(&good, &t->mem, SYKLI_TAG_host);
    put(p.root, "out", "x", 1);
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(publish(&p, key_a, "out", false, &t->fault));
    TRY(sykli__store_scan(&p.store, "entries", 1, find_path, path));
    TRY(sykli__tree_slurp(&t->mem, p.store.dir_fd, path, 1 << 20, &good));
    for (size_t i = 0; i < good.size; i++) {
        flip(p.cache, path, i, (int)(i % 8));
        TRY_INT(restore(&p, key_a, &t->fault), SYKLI_ENOENT);
        TRY_INT(files_in(p.cache, "entries"), 0);
        put(p.cache, path, (const char *)good.data, i); // cut short
        TRY_INT(restore(&p, key_a, &t->fault), SYKLI_ENOENT);
        put(p.cache, path, (const char *)good.data, good.size);
        if (i % 16) i += 6; // each byte would take long
    }
    TRY(restore(&p, key_a, &t->fault));
    char other[192];
    snprintf(other, sizeof other, "entries/bb/%s/0123456789abcdef.json", key_b);
    put(p.cache, other, (const char *)good.data, good.size); // put under a key not its own
    TRY_INT(restore(&p, key_b, &t->fault), SYKLI_ENOENT);
out:
    sykli_buf_free(&good);
    place_remove(&p);
}

static void what_another_boot_left_is_read_through_once(test *t)
{
    place p;
    sykli_digest id;
    place_make(&p);
    put(p.root, "sound", "sound", 5);
    put(p.root, "torn", "torn!", 5);
    TRY(place_open(&p, &t->mem, &t->fault));
    snprintf(p.store.boot, sizeof p.store.boot, "before");
    TRY(publish(&p, key_a, "sound", false, &t->fault));
    TRY(publish(&p, key_b, "torn", false, &t->fault));
    sykli_tree_of("torn!", 5, &id);
    char name[300];
    snprintf(name, sizeof name, "%s/%s", p.cache, sykli__store_blob_path(&id).text);
    chmod(name, 0644);
    put(p.cache, sykli__store_blob_path(&id).text, "\0\0\0\0\0", 5); // as after a power cut
    snprintf(p.store.boot, sizeof p.store.boot, "after");
    sykli__store_entry e;
    TRY_INT(sykli__store_entry_get(&p.store, key_b, &e, &t->fault), SYKLI_ENOENT);
    TRY_INT(files_in(p.cache, "quarantine"), 2); // blob and entry
    TRY(sykli__store_entry_get(&p.store, key_a, &e, &t->fault));
    sykli__store_entry_free(&e);
    sykli_tree_of("sound", 5, &id);
    flip(p.cache, sykli__store_blob_path(&id).text, 0, 0);
    TRY(sykli__store_entry_get(&p.store, key_a, &e, &t->fault)); // believed in this boot
    sykli__store_entry_free(&e);
    p.store.boot[0] = 0; // no name: never believed unread
    TRY_INT(sykli__store_entry_get(&p.store, key_a, &e, &t->fault), SYKLI_ENOENT);
out:
    place_remove(&p);
}

// openat2 away: what other systems and old kernels do.
static int walk_open(void *u, int dir, const char *path, int flags, int mode)
{
    if (!(flags & SYKLI_OPEN_beneath)) return test_sys_open(u, dir, path, flags, mode);
    int fd = sykli__sys_open_walk(dir, path, sykli__sys_open_flags(flags), mode);
    if (fd >= 0) ((test *)u)->open_fds++;
    return fd;
}

static int restore_as(place *p, const sykli_digest *id, uint64_t size, sykli_file_type type,
                      const char *path, sykli_fault *fault)
{
    char copy[6000];
    snprintf(copy, sizeof copy, "%s", path);
    sykli__store_output o = { .path = copy, .digest = *id, .size_bytes = size, .mode = 0644,
                              .type = type };
    return sykli__store_restore(&p->store, &o, &p->tree, fault);
}

static void paths_do_not_escape(test *t, bool walk)
{
    static const char *const bad[] = { "", "/", "/tmp/x", "..", "../x", "a/../../x", "a/..", ".",
        "./x", "a/./x", "a//x", "x/", "x\nx", "\x1b[2J", "\xff", ".git/hooks/x", "sub/.git/x",
        ".sykli/x", "away/x", "dir/away/x", "dir/up/x", "file/x", "self/x", "away/", "away/..",
        "dir/up/../x" };
    place p;
    char name[256], long_path[6000];
    sykli_digest id, escape;
    uint64_t size = 0;
    place_make(&p);
    put(p.outside, "x", "outside", 7);
    put(p.root, "file", "f", 1);
    put(p.root, "dir/in/x", "x", 1);
    snprintf(name, sizeof name, "%s/away", p.root);
    if (symlink(p.outside, name)) abort();
    snprintf(name, sizeof name, "%s/dir/away", p.root);
    if (symlink(p.outside, name)) abort();
    snprintf(name, sizeof name, "%s/dir/up", p.root);
    if (symlink("../../outside", name)) abort();
    snprintf(name, sizeof name, "%s/self", p.root);
    if (symlink("self", name)) abort();
    if (walk) t->sys.open = walk_open;
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(sykli__store_put_bytes(&p.store, "evil", 4, &id, &t->fault));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int rc = restore_as(&p, &id, 4, SYKLI_FILE_regular, bad[i], &t->fault);
        if (rc >= 0) printf("    path %zu: %s\n", i, bad[i]);
        CHECK(rc < 0);
        CHECK(t->injected || rc == SYKLI_EPERM);
        sykli_stat stat; // to read, the link itself may be named, nothing through it
        rc = digest_of(&p.tree, bad[i], &stat, &escape, &t->fault);
        if (strcmp(bad[i], "away/")) CHECK(rc < 0);
        else TRY(rc);
    }
    memset(long_path, 'a', sizeof long_path);
    long_path[256] = 0;
    CHECK(restore_as(&p, &id, 4, SYKLI_FILE_regular, long_path, &t->fault) < 0);
    for (size_t i = 0; i < 5000; i++) long_path[i] = i % 2 ? '/' : 'a';
    long_path[4999] = 0;
    CHECK(restore_as(&p, &id, 4, SYKLI_FILE_regular, long_path, &t->fault) < 0);
    static const char *const targets[] = { "/etc/passwd", "../outside/x", "..", "a/../../outside",
        "" };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        size = strlen(targets[i]);
        TRY(sykli__store_put_bytes(&p.store, targets[i], (size_t)size, &escape, &t->fault));
        CHECK(restore_as(&p, &escape, size, SYKLI_FILE_symlink, "l", &t->fault) < 0);
    }
    TRY(sykli__store_put_bytes(&p.store, "in\0side", 7, &escape, &t->fault));
    CHECK(restore_as(&p, &escape, 7, SYKLI_FILE_symlink, "l", &t->fault) < 0);
    CHECK_INT(mode_of(p.root, "l"), -1);
    TRY(restore_as(&p, &id, 4, SYKLI_FILE_regular, "away", &t->fault)); // the link itself goes
    CHECK(holds(p.root, "away", "evil", 4));
out:
    CHECK(holds(p.outside, "x", "outside", 7));
    CHECK_INT(files_in(p.base, "outside"), 1);
    place_remove(&p);
}

static void paths_do_not_escape_the_kernel(test *t) { paths_do_not_escape(t, false); }
static void paths_do_not_escape_the_walk(test *t) { paths_do_not_escape(t, true); }

static int64_t later_ms;
static int64_t later_wall_ms(void *u) { return test_wall_ms(u) + later_ms; }

static void the_collector_takes_the_oldest(test *t)
{
    place p;
    sykli_cache_usage stats = { 0 };
    uint64_t freed = 0;
    sykli_digest id[3];
    char text[100];
    sykli__store other = { 0 };
    place_make(&p);
    t->sys.wall_ms = later_wall_ms;
    later_ms = 0;
    memset(text, 'x', sizeof text);
    TRY(place_open(&p, &t->mem, &t->fault));
    for (int i = 0; i < 3; i++) {
        text[0] = (char)i;
        TRY(sykli__store_put_bytes(&p.store, text, 100, &id[i], &t->fault));
    }
    put(p.root, "out", "y", 1);
    TRY(sykli__store_stats_get(&p.store, &stats, &t->fault));
    CHECK(t->injected || (stats.blobs == 3 && stats.blob_bytes == 300 && stats.entries == 0));
    later_ms = 20 * 60 * 1000;
    TRY(sykli__store_hold(&p.store, &id[2], 3600 * 1000));
    CHECK(sykli__store_have(&p.store, &id[1], NULL) || t->injected); // used
    TRY(sykli__store_gc(&p.store, 300, &freed, &t->fault));
    CHECK(t->injected || freed == 0);
    TRY(sykli__store_gc(&p.store, 299, &freed, &t->fault));
    CHECK(t->injected || freed == 100);
    CHECK(!sykli__store_have(&p.store, &id[0], NULL) || t->injected);
    later_ms = 40 * 60 * 1000;
    TRY(sykli__store_gc_older(&p.store, 1 << 20, 30 * 60 * 1000, &freed, &t->fault));
    CHECK(t->injected || freed == 0);
    TRY(sykli__store_gc_older(&p.store, 1 << 20, 15 * 60 * 1000, &freed, &t->fault));
    CHECK(t->injected || freed == 100);
    CHECK(!sykli__store_have(&p.store, &id[1], NULL) || t->injected);
    TRY(publish(&p, key_a, "out", false, &t->fault));
    TRY(sykli__store_gc(&p.store, 0, &freed, &t->fault));
    memset(&stats, 0, sizeof stats);
    TRY(sykli__store_stats_get(&p.store, &stats, &t->fault));
    CHECK(t->injected || (stats.blobs == 1 && stats.entries == 0));
    CHECK(sykli__store_have(&p.store, &id[2], NULL) || t->injected); // held
    later_ms = 200 * 60 * 1000;
    TRY(sykli__store_open(&other, &t->mem, p.cache, 0, &t->fault));
    int lease = sykli__store_lease(&other, &t->fault);
    if (lease >= 0) {
        CHECK_INT(sykli__store_gc(&p.store, 0, &freed, &t->fault),
                  t->injected ? t->fault.code : SYKLI_EBUSY);
        t->sys.close(t->sys.user, lease);
    }
    TRY(sykli__store_gc(&p.store, 0, &freed, &t->fault));
    CHECK(t->injected || files_in(p.cache, "blobs") == 0);
    TRY(sykli__store_put_bytes(&p.store, "z", 1, &id[0], &t->fault));
    TRY(sykli__store_clear(&p.store, &t->fault));
    CHECK(!sykli__store_have(&p.store, &id[0], NULL));
    TRY(sykli__store_put_bytes(&p.store, "z", 1, &id[0], &t->fault));
out:
    sykli__store_close(&other);
    place_remove(&p);
}

// What a run puts into a store while it is emptied: after the first file has gone.
static place *busy;
static int remove_beside_a_run(void *u, int dir, const char *path, int folder)
{
    int rc = test_sys_remove(u, dir, path, folder);
    place *p = busy;
    if (rc || !p) return rc;
    busy = NULL;
    publish(p, key_b, "out", false, NULL);
    return rc;
}

static void a_store_is_emptied_beside_a_run(test *t)
{
    place p;
    sykli__store other = { .dir_fd = -1 };
    place_make(&p);
    put(p.root, "out", "x", 1);
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(publish(&p, key_a, "out", false, &t->fault));
    TRY(sykli__store_open(&other, &t->mem, p.cache, 0, &t->fault));
    busy = &p;
    t->sys.remove = remove_beside_a_run;
    TRY(sykli__store_clear(&other, &t->fault));
    CHECK_INT(files_in(p.cache, "entries") <= 1, 1);
    TRY(sykli__store_clear(&other, &t->fault));
    CHECK(t->injected || files_in(p.cache, "entries") + files_in(p.cache, "blobs") == 0);
    TRY(publish(&p, key_a, "out", false, &t->fault));
    TRY(restore(&p, key_a, &t->fault));
out:
    busy = NULL;
    sykli__store_close(&other);
    place_remove(&p);
}

static void a_store_of_another_version_is_left_alone(test *t)
{
    place p;
    place_make(&p);
    mkdir(p.cache, 0700);
    put(p.cache, "VERSION", "sykli store 99\n", 15);
    CHECK_INT(sykli__store_open(&p.store, &t->mem, p.cache, 0, &t->fault),
              t->injected ? t->fault.code : SYKLI_EUNSUPPORTED);
    CHECK_INT(sykli__store_open(&p.store, &t->mem, "/proc/no/store", 0, &t->fault) < 0, 1);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b/c", p.base);
    TRY(sykli__store_open(&p.store, &t->mem, deep, 0, &t->fault));
    CHECK_INT(mode_of(p.base, "a/b/c"), 0700);
out:
    place_remove(&p);
}

// A disk that is full after so many bytes.
static int64_t room;
static int64_t full_write(void *u, int fd, const void *data, size_t size)
{
    if (!room) return -ENOSPC;
    if ((int64_t)size > room) size = (size_t)room;
    room -= (int64_t)size;
    return test_sys_write(u, fd, data, size);
}

static void a_full_disk_is_an_error_and_leaves_nothing(test *t)
{
    place p;
    char content[2000];
    memset(content, 'c', sizeof content);
    place_make(&p);
    put(p.root, "out", content, sizeof content);
    TRY(place_open(&p, &t->mem, &t->fault));
    t->sys.write = full_write;
    int failed = 0;
    for (int64_t bytes = 0;; bytes += 97, failed++) {
        room = bytes;
        if (!publish(&p, key_a, "out", false, &t->fault)) break;
        CHECK(t->injected || strstr(t->fault.text, "No space left on device"));
        CHECK(t->injected || files_in(p.cache, "tmp") == 0);
        TRY_INT(restore(&p, key_a, &t->fault), SYKLI_ENOENT);
        if (t->injected) goto out;
    }
    CHECK(failed > 20 || t->injected);
out:
    place_remove(&p);
}

// Kills this process at the n-th call; a write that is hit leaves half of it.
static long calls_left = -1;
static bool half_write;

#define SYKLI_X(type, name, params, args)                                                          \
    static type killed_##name params                                                               \
    {                                                                                              \
        const sykli_sys *real = (const sykli_sys *)u;                                              \
        if (calls_left > 0 && !--calls_left) raise(SIGKILL);                                       \
        u = real->user;                                                                            \
        return real->name args;                                                                    \
    }
SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X

static int64_t torn_write(void *u, int fd, const void *data, size_t size)
{
    const sykli_sys *real = (const sykli_sys *)u;
    if (calls_left == 1 && half_write) real->write(real->user, fd, data, size / 2);
    return killed_write(u, fd, data, size);
}

static void killing_sys(sykli_sys *out, sykli_sys *real)
{
    sykli_sys_init(real);
    *out = *real;
    out->user = real;
#define SYKLI_X(type, name, params, args) out->name = killed_##name;
    SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X
    out->write = torn_write;
}

// Opens, publishes and collects in a child that dies at the n-th call.
//   returns  whether it lived to the end
static bool publish_and_die(place *p, long at, bool torn)
{
    pid_t pid = fork();
    if (!pid) {
        sykli_sys sys, real;
        sykli_fault fault;
        sykli_mem mem = { .sys = &sys };
        killing_sys(&sys, &real);
        calls_left = at;
        half_write = torn;
        int rc = place_open(p, &mem, &fault);
        if (!rc) rc = publish(p, key_a, "out", true, &fault);
        if (!rc) rc = sykli__store_gc(&p->store, 0, NULL, &fault);
        _exit(rc != 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void killed_at_any_call_nothing_torn_is_believed(test *t)
{
    static const char content[] = "the content of the output";
    t->sys.wall_ms = later_wall_ms;
    later_ms = 2 * 3600 * 1000; // whoever comes next comes two hours later
    long points = 0, hits = 0;
    bool lived = false;
    for (long at = 1; !lived && at < 1000; at++)
        for (int torn = 0; torn < 2 && !t->failed; torn++) {
            place p;
            place_make(&p);
            put(p.root, "out", content, sizeof content);
            lived = publish_and_die(&p, at, torn);
            put(p.root, "out", "", 0);
            TRY(place_open(&p, &t->mem, &t->fault));
            CHECK_INT(files_in(p.cache, "tmp"), 0);
            CHECK_INT(files_in(p.cache, "quarantine"), 0);
            int rc = restore(&p, key_a, &t->fault);
            CHECK(rc == 0 || rc == SYKLI_ENOENT);
            CHECK(holds(p.root, "out", content, rc ? 0 : sizeof content));
            put(p.root, "out", content, sizeof content);
            TRY(publish(&p, key_a, "out", false, &t->fault));
            put(p.root, "out", "", 0);
            TRY(restore(&p, key_a, &t->fault));
            CHECK(holds(p.root, "out", content, sizeof content));
            if (t->failed) printf("    killed at call %ld, torn %d\n", at, torn);
            points++;
            hits += rc == 0;
            place_remove(&p);
        }
    CHECK(lived && points > 40 && hits > 2 && hits < points - 20);
out:
    return;
}

// ---- processes that put, get, hold and collect at once: a hit is always right -----------------
static int storm_put(place *p, const char *key, const char *name, const char *content,
                     sykli_fault *fault)
{
    sykli__store_entry e;
    put(p->root, name, content, strlen(content));
    sykli__store_entry_init(&e, p->store.mem);
    int rc = sykli__store_entry_add(&e, "o", "restored", SYKLI_FILE_regular, fault);
    if (!rc)
        rc = sykli__store_put_file(&p->store, &p->tree, name, &e.outputs[0].digest,
                                   &e.outputs[0].size_bytes, &e.outputs[0].mode, fault);
    if (!rc) rc = sykli__store_entry_put(&p->store, key, &e, false, fault);
    sykli__store_entry_free(&e);
    return rc && rc != SYKLI_ENOENT; // collected before the entry was there
}

static int storm_get(place *p, const char *key, const char *name, const char *content,
                     sykli_fault *fault)
{
    sykli__store_entry e;
    int rc = sykli__store_entry_get(&p->store, key, &e, fault);
    bool right = true;
    if (!rc) {
        rc = restore_as(p, &e.outputs[0].digest, e.outputs[0].size_bytes, SYKLI_FILE_regular, name,
                        fault);
        right = rc || holds(p->root, name, content, strlen(content));
        sykli__store_entry_free(&e);
    }
    return !right || (rc && rc != SYKLI_ENOENT);
}

// What is held is there, whatever the collectors do.
static int storm_hold(place *p, const char *content, sykli_fault *fault)
{
    sykli_digest id;
    sykli_tree_of(content, strlen(content), &id);
    int rc = sykli__store_hold(&p->store, &id, 600000), wrong = rc && rc != SYKLI_ENOENT;
    for (int i = 0; !rc && i < 20; i++)
        wrong += !sykli__store_have(&p->store, &id, NULL)
              || sykli__store_copy(&p->store, &id, strlen(content), -1, fault);
    sykli__store_path path = sykli__store_blob_path(&id);
    if (!rc) p->store.mem->sys->utime(NULL, p->store.dir_fd, path.text, 1000000); // long unused
    return wrong;
}

static int storm(place *p, unsigned seed, time_t end)
{
    sykli_sys sys;
    sykli_fault fault;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    int wrong = 0;
    char name[32], content[64], key[65];
    unsigned mine = seed;
    if (place_open(p, &mem, &fault)) return 99;
    for (int i = 0; i < 300 || time(NULL) < end; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned n = seed >> 16 & 7;
        snprintf(content, sizeof content, "content %u of no process alone", n);
        snprintf(key, sizeof key, "%064x", n);
        snprintf(name, sizeof name, "out-%d-%u", (int)getpid(), n);
        int before = wrong;
        *fault.text = 0;
        if (seed >> 20 & 1) wrong += storm_put(p, key, name, content, &fault);
        else if (seed >> 21 & 3) wrong += storm_get(p, key, name, content, &fault);
        else if (seed >> 23 & 1) {
            int rc = sykli__store_gc(&p->store, 100, NULL, &fault);
            wrong += rc && rc != SYKLI_EBUSY;
        } else { // one holder a blob: it lets go by making it old
            snprintf(content, sizeof content, "held by process %u", mine);
            sykli__store_put_bytes(&p->store, content, strlen(content), NULL, &fault);
            wrong += storm_hold(p, content, &fault);
        }
        if (wrong > before) printf("  step %d, seed %u: %s\n", i, seed, fault.text);
    }
    fflush(stdout);
    place_close(p);
    return wrong > 90 ? 90 : wrong;
}

// STORM_SECONDS: how long, beyond the 300 steps of each.
static void processes_share_a_store(test *t)
{
    place p;
    pid_t pids[8];
    const char *seconds = getenv("STORM_SECONDS");
    time_t end = time(NULL) + (seconds ? atoi(seconds) : 0);
    place_make(&p);
    for (unsigned i = 0; i < 8; i++) {
        pids[i] = fork();
        if (!pids[i]) _exit(storm(&p, i + 1, end));
    }
    for (int i = 0; i < 8; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    }
    CHECK_INT(files_in(p.cache, "quarantine"), 0);
    CHECK_INT(files_in(p.cache, "tmp"), 0);
    place_remove(&p);
}

// One byte of each object is flipped, wherever it lies: nothing of it is a hit any more.
static void a_flipped_byte_anywhere_is_a_miss(test *t)
{
    enum { COUNT = 200 };
    place p;
    char name[32], content[64], key[65];
    int hits = 0, wrong = 0;
    place_make(&p);
    TRY(place_open(&p, &t->mem, &t->fault));
    for (int i = 0; i < COUNT; i++) {
        int size = snprintf(content, sizeof content, "object number %d", i);
        snprintf(name, sizeof name, "out%d", i);
        snprintf(key, sizeof key, "%064x", i);
        put(p.root, name, content, (size_t)size);
        TRY(publish(&p, key, name, false, &t->fault));
        sykli_digest id;
        sykli_tree_of(content, (size_t)size, &id);
        sykli__store_path path = sykli__store_blob_path(&id);
        if (i & 1) { // the entry instead of the blob
            sykli__store_entry e;
            TRY(sykli__store_entry_get(&p.store, key, &e, &t->fault));
            path = sykli__store_entry_path(&e);
            sykli__store_entry_free(&e);
        }
        char file[512];
        snprintf(file, sizeof file, "%s/%s", p.cache, path.text);
        struct stat st;
        if (stat(file, &st)) abort();
        flip(p.cache, path.text, (size_t)(i * 37) % (size_t)st.st_size, i % 8);
        put(p.root, name, "", 0);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "out%d", i);
        snprintf(key, sizeof key, "%064x", i);
        int rc = restore(&p, key, &t->fault);
        hits += rc == 0;
        wrong += (rc != SYKLI_ENOENT && rc != SYKLI_ECORRUPT && !t->injected)
              || !holds(p.root, name, "", 0);
    }
    CHECK_INT(hits, 0);
    TRY_INT(wrong, 0);
    TRY_INT(files_in(p.cache, "quarantine"), COUNT);
out:
    place_remove(&p);
}

// The quota holds for all who write, without anybody counting the store each time.
static void the_quota_is_kept(test *t)
{
    place p;
    sykli_cache_usage usage = { 0 };
    uint64_t noted = 0;
    char text[1000];
    sykli__store other = { 0 };
    place_make(&p);
    memset(text, 'x', sizeof text);
    TRY(place_open(&p, &t->mem, &t->fault));
    TRY(sykli__store_open(&other, &t->mem, p.cache, 0, &t->fault));
    for (int i = 0; i < 30; i++) {
        sykli__store *s = i & 1 ? &other : &p.store;
        text[0] = (char)i;
        TRY(sykli__store_put_bytes(s, text, sizeof text, NULL, &t->fault));
        sykli__store_keep(s, 10000, 0);
        memset(&usage, 0, sizeof usage);
        TRY(sykli__store_stats_get(s, &usage, &t->fault));
        CHECK(t->injected || usage.blob_bytes <= 10000);
        TRY_THAT(sykli__store_usage(s, &noted), "the note is there");
        CHECK(t->injected || noted == usage.blob_bytes);
    }
    CHECK(t->injected || usage.blobs >= 8);
    sykli__store_keep(&p.store, 1, 0); // nothing was added since: it is not looked at
    TRY(sykli__store_put_bytes(&p.store, text, 1, NULL, &t->fault));
    sykli__store_keep(&p.store, 1, 2);
    memset(&usage, 0, sizeof usage);
    TRY(sykli__store_stats_get(&p.store, &usage, &t->fault));
    CHECK(t->injected || usage.blobs >= 9);
out:
    sykli__store_close(&other);
    place_remove(&p);
}

// A file large enough for several threads: it comes back, and a flipped bit in its last byte is
// seen; by any number of them.
static void a_large_output_takes_several(test *t)
{
    enum { SIZE = (1 << 20) + 77 };
    place p;
    sykli_digest id;
    sykli_mem mem = { .sys = &t->real };
    char *data = (char *)malloc(SIZE);
    if (!data) abort();
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * i >> 9);
    sykli_tree_of(data, SIZE, &id);
    place_make(&p);
    TRY(place_open(&p, &mem, &t->fault));
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        p.store.threads_max = threads;
        put(p.root, "large", data, SIZE);
        TRY(publish(&p, key_a, "large", false, &t->fault));
        put(p.root, "large", "", 0);
        TRY(restore(&p, key_a, &t->fault));
        CHECK(holds(p.root, "large", data, SIZE));
        CHECK_INT(sykli__store_verify(&p.store, &id, &t->fault), 0);
        flip(p.cache, sykli__store_blob_path(&id).text, SIZE - 1, 3);
        put(p.root, "large", "mine", 4);
        CHECK_INT(restore(&p, key_a, &t->fault), SYKLI_ECORRUPT);
        CHECK(holds(p.root, "large", "mine", 4));
        CHECK_INT(restore(&p, key_a, &t->fault), SYKLI_ENOENT);
    }
    CHECK_INT(files_in(p.base, "project"), 1);
out:
    place_remove(&p);
    free(data);
}

int main(int argc, char **argv)
{
    TEST_STORY(an_output_comes_back);
    TEST_STORY(big_empty_and_linked_outputs_come_back);
    TEST_STORY(an_entry_says_everything);
    TEST_STORY(an_entry_from_a_stranger_is_read_strictly);
    TEST_STORY(the_newest_entry_that_is_accepted_is_found);
    TEST_STORY(an_entry_without_its_blob_is_none);
    TEST_STORY(a_writer_checks_what_it_is_given);
    TEST_ONCE(a_large_output_takes_several); // by threads, whose calls come in any order
    TEST_SOME(10, a_flipped_bit_is_a_miss);
    TEST_SOME(30, a_damaged_entry_is_set_aside);
    TEST_STORY(what_another_boot_left_is_read_through_once);
    TEST_STORY(paths_do_not_escape_the_kernel);
    TEST_STORY(paths_do_not_escape_the_walk);
    TEST_STORY(the_collector_takes_the_oldest);
    TEST_STORY(a_store_is_emptied_beside_a_run);
    TEST_STORY(a_store_of_another_version_is_left_alone);
    TEST_STORY(a_full_disk_is_an_error_and_leaves_nothing);
    TEST_ONCE(killed_at_any_call_nothing_torn_is_believed); // dies at each call as it is
    TEST_ONCE(processes_share_a_store); // a storm of processes with the system as it is
    TEST_SOME(10, a_flipped_byte_anywhere_is_a_miss);
    TEST_SOME(30, the_quota_is_kept);
    return test_end(argc, argv);
}
