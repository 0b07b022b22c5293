// Stories of the action key: what is in it, and how a difference is told.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static void put(const char *root, const char *path, const char *content)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(name, 0755);
        *p = '/';
    }
    FILE *file = fopen(name, "w");
    if (!file || fputs(content, file) < 0 || fclose(file)) abort();
}

static void remove_all(const char *root)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    sykli__tree_remove_at(&mem, SYKLI_CWD, root, 0);
}

typedef struct part { const char *part, *name, *value; } part;

static int key_of(test *t, const part *parts, char hex[65], sykli_buf *manifest)
{
    sykli__key key;
    sykli__key_begin(&key, &t->mem);
    for (; parts->part; parts++)
        sykli__key_add(&key, parts->part, parts->name, parts->value, strlen(parts->value));
    int rc = sykli__key_end(&key, hex);
    if (!rc && manifest) rc = sykli_buf_add(manifest, key.manifest.data, key.manifest.size);
    sykli__key_free(&key);
    return rc;
}

static void every_part_counts(test *t)
{
    char hex[8][65];
    const part sets[8][4] = {
        { { "env", "CC", "gcc" }, { 0 } },
        { { "env", "CC", "gcd" }, { 0 } },
        { { "env", "CCg", "cc" }, { 0 } }, // no byte may move from name to value
        { { "envC", "C", "gcc" }, { 0 } },
        { { "env", "CC", "gcc" }, { "env", "", "" }, { 0 } },
        { { "env", "", "" }, { "env", "CC", "gcc" }, { 0 } },
        { { "env", "CC", "gcc\nenv =" }, { 0 } },
        { { 0 } } };
    for (int i = 0; i < 8; i++) TRY(key_of(t, sets[i], hex[i], NULL));
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) CHECK(strcmp(hex[i], hex[j]) != 0);
    CHECK_INT(strlen(hex[0]), 64);
    // The hash by hand, so that no change of it goes unseen: length-prefixed parts.
    static const char bytes[] = "\x10\0\0\0\0\0\0\0sykli action key"
        "\x06\0\0\0\0\0\0\0schema\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0" "1"
        "\x03\0\0\0\0\0\0\0env\x02\0\0\0\0\0\0\0" "CC\x03\0\0\0\0\0\0\0gcc";
    uint8_t sum[32];
    char want[65];
    sykli_sha256_of(bytes, sizeof bytes - 1, sum);
    sykli_hex(want, sum, 32);
    CHECK_TEXT(hex[0], want);
out:
    return;
}

static int reasons_add(void *to, const char *name_of_part, const char *name, const char *was,
                       const char *is)
{
    sykli_buf *out = (sykli_buf *)to;
    if (out->size) sykli_buf_text(out, "; ");
    return sykli__key_reason(out, name_of_part, name, was, is);
}

static void a_difference_is_told_in_words(test *t)
{
    static const part before[] = { { "command", "", "make all" }, { "env", "CC", "gcc" },
        { "env", "OLD=x", "a\nb" }, { "input", "src/a.c", "0644 11" }, { "input", "b c", "0644 2" },
        { 0 } };
    static const part after[] = { { "command", "", "make test" }, { "env", "CC", "clang" },
        { "input", "b c", "0644 2" }, { "input", "src/a.c", "0644 12" },
        { "input", "src/z.c", "0644 3" }, { 0 } };
    sykli_buf was, is, text;
    char hex[65], *big = NULL;
    sykli_buf_init(&was, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&is, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&text, &t->mem, SYKLI_TAG_host);
    TRY(key_of(t, before, hex, &was));
    TRY(key_of(t, after, hex, &is));
    CHECK_TEXT((const char *)was.data, "schema =1\ncommand =make all\nenv CC=gcc\n"
               "env OLD\\x3dx=a\\x0ab\ninput src/a.c=0644 11\ninput b c=0644 2\n");
    TRY(sykli__key_diff(&t->mem, (const char *)was.data, (const char *)is.data, reasons_add,
                        &text));
    if (!text.error)
        CHECK_TEXT((const char *)text.data, "command changed; env CC changed from gcc to clang; "
                   "env OLD=x removed, was a\nb; input src/a.c changed; input src/z.c added");
    sykli_buf_reset(&text);
    TRY(sykli__key_diff(&t->mem, (const char *)was.data, (const char *)was.data, reasons_add,
                        &text));
    CHECK_INT(text.size, 0);
    TRY(sykli__key_diff(&t->mem, "", "no line at all\nenv X\nenv Y=\\xzz\\x4", reasons_add, &text));
    if (!text.error) CHECK_TEXT((const char *)text.data, "env Y added: \\xzz\\x4");
    sykli_buf_reset(&is);
    TRY_NOT_NULL(big = sykli_mem_resize(&t->mem, SYKLI_TAG_host, NULL, 0, 10001));
    memset(big, 'x', 10000);
    const part large[] = { { "command", "", big }, { 0 } };
    TRY(key_of(t, large, hex, &is));
    CHECK(is.size < 200 && strstr((const char *)is.data, "command =(10000 bytes, sha256 "));
out:
    if (big) sykli_mem_resize(&t->mem, SYKLI_TAG_host, big, 10001, 0);
    sykli_buf_free(&was);
    sykli_buf_free(&is);
    sykli_buf_free(&text);
}

static void one_repository_has_one_origin(test *t)
{
    static const struct { const char *url, *origin; } rows[] = {
        { "https://github.com/yairfalse/sykli.git", "github.com/yairfalse/sykli" },
        { "https://GitHub.com/yairfalse/sykli/", "github.com/yairfalse/sykli" },
        { "https://me:token@github.com/yairfalse/sykli", "github.com/yairfalse/sykli" },
        { "https://a@b:p@ss@github.com/yairfalse/sykli", "github.com/yairfalse/sykli" },
        { "git@github.com:yairfalse/sykli.git", "github.com/yairfalse/sykli" },
        { "github.com:yairfalse/sykli", "github.com/yairfalse/sykli" },
        { "ssh://git@github.com:22/yairfalse/sykli.git", "github.com/yairfalse/sykli" },
        { "git://github.com:9418/yairfalse/sykli.git", "github.com/yairfalse/sykli" },
        { "/srv/git/x.git", "localhost/srv/git/x" },
        { "file:///srv/git/x.git", "localhost/srv/git/x" },
        { "../other", "localhost/../other" },
        { "ssh://[::1]:22/x", "[::1]:22/x" },
        { "https://h", "h/" }, { "x", "localhost/x" }, { ":", "localhost/" },
        { "://", "localhost/" },
        { "@", "localhost/@" }, { "a@:/.git", "localhost/.git" } };
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sykli_buf_reset(&out);
        TRY(sykli__key_origin(rows[i].url, strlen(rows[i].url), &out));
        CHECK_TEXT((const char *)out.data, rows[i].origin);
    }
out:
    sykli_buf_free(&out);
}

static int project(test *t, const char *root, const char *folder, sykli_buf *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, folder);
    sykli_buf_reset(out);
    return sykli__key_project(&t->mem, path, out, &t->fault);
}

static void a_project_is_known_by_its_origin(test *t)
{
    char root[] = "/tmp/sykli-key-XXXXXX", real[4096];
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    if (!mkdtemp(root) || !realpath(root, real)) abort();
    put(root, "main/.git/config", "[core]\n\turl = no\n[remote \"other\"]\n\turl = git@x:y\n"
        "[remote \"origin\"]\n\tfetch = +refs/*\n\turl = git@github.com:me/repo.git # mine\n"
        "[branch \"x\"]\n\turl = no\n");
    put(root, "main/pkg/one/x", "");
    put(root, "main/.git/worktrees/w/commondir", "../..\n");
    put(root, "work/.git", "gitdir: ../main/.git/worktrees/w\n");
    put(root, "sub/.git", "gitdir: ../modules/sub\n");
    put(root, "modules/sub/config", "[remote \"origin\"]\nurl=\"https://h/sub\"\n");
    put(root, "local/.git/config", "[core]\n");
    put(root, "plain/x", "");
    TRY(project(t, root, "/main", &out));
    if (!t->injected) CHECK_TEXT((const char *)out.data, "github.com/me/repo");
    TRY(project(t, root, "/main/pkg/one/", &out));
    if (!t->injected) CHECK_TEXT((const char *)out.data, "github.com/me/repo//pkg/one");
    TRY(project(t, root, "/work", &out));
    if (!t->injected) CHECK_TEXT((const char *)out.data, "github.com/me/repo");
    TRY(project(t, root, "/sub", &out));
    if (!t->injected) CHECK_TEXT((const char *)out.data, "h/sub");
    TRY(project(t, root, "/local", &out));
    CHECK(t->injected || !strncmp((const char *)out.data, real, strlen(real)));
    TRY(project(t, root, "/plain", &out));
    CHECK(t->injected || !strcmp((const char *)out.data + strlen(real), "/plain"));
    CHECK_INT(project(t, root, "/none", &out), t->injected ? t->fault.code : SYKLI_ENOENT);
out:
    sykli_buf_free(&out);
    remove_all(root);
}

static int64_t no_readlink(void *u, int dir, const char *path, char *out, size_t size)
{
    (void)u, (void)dir, (void)path, (void)out, (void)size;
    return -ENOENT;
}

static void a_folder_is_found_without_proc(test *t)
{
    char root[] = "/tmp/sykli-key-XXXXXX", real[4096];
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    if (!mkdtemp(root) || !realpath(root, real)) abort();
    put(root, "a/b/x", "");
    t->sys.readlink = no_readlink;
    TRY(project(t, root, "/a/b", &out));
    CHECK(t->injected || (!strncmp((const char *)out.data, real, strlen(real))
                          && !strcmp((const char *)out.data + strlen(real), "/a/b")));
    sykli_buf_reset(&out);
    TRY(sykli_folder_path(&t->mem, "/", &out));
    CHECK(t->injected || !strcmp((const char *)out.data, "/"));
out:
    sykli_buf_free(&out);
    remove_all(root);
}

static void a_platform_is_told_from_files(test *t)
{
    sykli_buf out;
    char text[64];
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    TRY(sykli__key_platform(&t->mem, "mine", &out, &t->fault));
    const char *tail = strchr((const char *)out.data, ';');
    CHECK(t->injected || (tail && !strcmp(tail, "; mine")));
    sykli_buf_reset(&out);
    TRY(sykli__key_platform(&t->mem, NULL, &out, &t->fault));
    CHECK(t->injected || strlen((const char *)out.data) > 16);
#if defined(__linux__) && defined(__x86_64__) && defined(__GLIBC__)
    CHECK(t->injected || strstr((const char *)out.data, "linux x86_64 glibc 2."));
#endif
    sykli__key_release("NAME=\"A B\"\nID=debian\nVERSION_ID=\"12\"\nID_LIKE=x", "ID", text);
    CHECK_TEXT(text, "debian");
    sykli__key_release("NAME=\"A B\"\nID=debian\nVERSION_ID=\"12\"", "VERSION_ID", text);
    CHECK_TEXT(text, "12");
    sykli__key_release("", "ID", text);
    CHECK_TEXT(text, "");
out:
    sykli_buf_free(&out);
}

static void a_damaged_program_names_no_loader(test *t)
{
    uint8_t elf[256];
    char loader[256];
    for (unsigned seed = 1; seed < 20000; seed++) {
        uint32_t x = seed * 2654435761u;
        for (size_t i = 0; i < sizeof elf; i++) {
            x = x * 1664525u + 1013904223u;
            elf[i] = (uint8_t)(x >> 24 & (seed % 3 ? 0xff : 0x3f));
        }
        elf[4] = (uint8_t)(1 + seed % 2);
        sykli__key_loader(elf, sizeof elf, seed % 4 > 1, loader);
        if (strlen(loader) > 255) test_fail(t, __FILE__, __LINE__, "the loader's path is short");
    }
}

static void the_tool_is_the_first_program(test *t)
{
    static const struct { const char *command, *word; } rows[] = {
        { "gcc -c x.c", "gcc" }, { "  CC=gcc A= make all", "make" }, { "make&&x", "make" },
        { "'my prog' x", "" }, { "$CC x", "" }, { "", "" }, { "A=1", "" }, { "(cd x)", "" },
        { "a/b/tool x", "a/b/tool" } };
    char root[] = "/tmp/sykli-key-XXXXXX", path[256];
    sykli__tree tree = { 0 };
    sykli_digest one, two;
    if (!mkdtemp(root)) abort();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *word = "";
        size_t size = sykli__key_word(rows[i].command, &word);
        CHECK(size == strlen(rows[i].word) && !memcmp(word, rows[i].word, size));
    }
    put(root, "bin/tool", "one");
    put(root, "no/tool", "not executable");
    snprintf(path, sizeof path, "%s/bin/tool", root);
    chmod(path, 0755);
    snprintf(path, sizeof path, "relative::%s/no:%s/bin", root, root);
    TRY(sykli__tree_open(&tree, &t->mem, root, NULL, &t->fault));
    TRY(sykli__key_tool(&tree, "tool x", path, NULL, &one, &t->fault));
    put(root, "bin/tool", "2nd");
    TRY(sykli__key_tool(&tree, "A=b tool x", path, NULL, &two, &t->fault));
    CHECK(memcmp(&one, &two, 32) != 0);
    int rc = sykli__key_tool(&tree, "nothing x", path, NULL, &two, &t->fault);
    CHECK(t->injected || rc == SYKLI_ENOENT);
    CHECK_INT(sykli__key_tool(&tree, "./tool x", path, NULL, &two, NULL), SYKLI_ENOENT);
out:
    sykli__tree_close(&tree);
    remove_all(root);
}

int main(int argc, char **argv)
{
    TEST_STORY(every_part_counts);
    TEST_STORY(a_difference_is_told_in_words);
    TEST_STORY(one_repository_has_one_origin);
    TEST_STORY(a_project_is_known_by_its_origin);
    TEST_STORY(a_folder_is_found_without_proc);
    TEST_STORY(a_platform_is_told_from_files);
    TEST_STORY(a_damaged_program_names_no_loader);
    TEST_STORY(the_tool_is_the_first_program);
    return test_end(argc, argv);
}
