// Writes a pipeline to start from: looks at what builds the project and makes tasks of it that pass
// as they are and are hits when nothing has changed.
#define _GNU_SOURCE 1
#include "cli.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const cli_option options[] = {
    { "force", 0, NULL, "write over a file that is there" },
    { "lang", 0, "json|c", "sykli.json (default), or a program, sykli.c" },
    { NULL, 0, NULL, NULL }
};

enum { TASKS_MAX = 16, LIST_MAX = 128, DEPTH_MAX = 6 };

typedef struct draft {
    const char *name, *command, *after, *output; // the last two: NULL if there is none
    const char *inputs[LIST_MAX];                // ends with NULL; none: it always runs
    bool unknown;                                // there are more: it always runs, too
} draft;

typedef struct drafts {
    cli *c;
    draft tasks[TASKS_MAX];
    size_t count, begun;        // begun: the first of the tool that is looked at
    const char *found[8];       // what they were made from
    const char *path;           // where they will be
    size_t found_count;
} drafts;

// ---- looking at the folder ----

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

// Folders that hold what is built or fetched, not what is written.
static bool is_made(const char *dir)
{
    static const char *const made[] = { "build", "target", "node_modules", "dist", "out", "bin",
                                        "obj", "vendor", "coverage", "__pycache__" };
    char cache[512];
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (!strcmp(made[i], dir)) return true;
    int size = snprintf(cache, sizeof cache, "%s/CMakeCache.txt", dir);
    return size < 0 || (size_t)size >= sizeof cache || is_there(cache);
}

static bool has_end(const char *name, const char *end)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name && !strcmp(dot + 1, end);
}

// Whether a file with this ending is in a folder or, if `deep`, below it.
static bool holds(const char *dir, const char *end, int deep)
{
    bool found = false;
    char path[1024];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        struct stat st;
        int size = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        bool ours = !strncmp(e->d_name, "sykli.", 6) && strcmp(e->d_name + 6, "h"); // a pipeline
        if (*e->d_name == '.' || ours || size < 0 || (size_t)size >= sizeof path
            || lstat(path, &st)) continue;
        if (S_ISREG(st.st_mode)) found = has_end(e->d_name, end);
        else if (S_ISDIR(st.st_mode) && deep && !is_made(e->d_name))
            found = holds(path, end, deep - 1);
    }
    if (d) closedir(d);
    return found;
}

// Who does not know all that a task reads must not say that nothing has changed.
static void forget_inputs(draft *t)
{
    t->inputs[0] = NULL;
    t->unknown = true;
}

static void add_input(draft *t, const char *pattern)
{
    size_t at = 0;
    while (at < LIST_MAX - 1 && t->inputs[at]) at++;
    if (at == LIST_MAX - 1) forget_inputs(t);
    else if (!t->unknown) t->inputs[at] = pattern;
}

// The name of a folder as a pattern: its signs that mean something there are any sign.
static const char *pattern_of(cli *c, const char *name)
{
    char *text = cli_copy(c, name, strlen(name));
    for (char *p = text; (p = strpbrk(p, "*?[]{}\\")) != NULL;) *p++ = '?';
    return text;
}

// One pattern for the endings, with blanks between them, that a folder holds; "." is the top, which
// is not looked below.
static void add_folder(cli *c, draft *t, const char *dir, const char *ends)
{
    const char *list = NULL;
    bool top = !strcmp(dir, "."), several = false;
    for (size_t size; *ends; ends += size + (ends[size] == ' ')) {
        const char *end = cli_copy(c, ends, size = strcspn(ends, " "));
        if (!holds(dir, end, top ? 0 : DEPTH_MAX)) continue;
        several = list != NULL;
        list = list ? cli_print(c, "%s,%s", list, end) : end;
    }
    if (list)
        add_input(t, cli_print(c, "%s%s*.%s%s%s", top ? "" : pattern_of(c, dir), top ? "" : "/**/",
                               several ? "{" : "", list, several ? "}" : ""));
}

// Patterns of the sources: folders that hold none, or what is built, are left out, so that a build
// does not change its own inputs.
static void add_sources(cli *c, draft *t, const char *ends)
{
    size_t count;
    const char **names = cli_names(c, ".", &count);
    add_folder(c, t, ".", ends);
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        const char *name = names[i] + 2; // without "./"
        if (!is_made(name) && !lstat(name, &st) && S_ISDIR(st.st_mode))
            add_folder(c, t, name, ends);
    }
}

static void add_files(draft *t, const char *const *names)
{
    for (; *names; names++)
        if (is_there(*names)) add_input(t, *names);
}

// ---- tasks ----

static draft *add(drafts *d, const char *name, const char *command, const char *after)
{
    if (d->count == TASKS_MAX) return &d->tasks[TASKS_MAX - 1];
    draft *t = &d->tasks[d->count++];
    *t = (draft){ .name = name, .command = command, .after = after };
    return t;
}

static const char *text_of(cli *c, const char *path)
{
    size_t size;
    const char *text = is_there(path) ? cli_read_text(c, path, &size) : NULL;
    return text ? text : "";
}

// Whether a Makefile has a target: a line that begins with its name and a colon.
static bool has_target(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (strncmp(at, name, size)) continue;
        const char *behind = at + size + strspn(at + size, " ");
        if (*behind == ':' && behind[1] != '=') return true;
    }
    return false;
}

// What `cmake` and, with the rest, whatever is built by `make` is written in.
#define C_ENDS "c h cc cpp cxx hpp hh hxx inl ipp tpp s S asm y l in mk cmake sh py cu cuh m mm " \
               "f f90 proto ui qml qrc"
#define ALL_ENDS C_ENDS " go mod sum rs toml zig swift js mjs cjs jsx ts mts tsx css vue java kt " \
                 "scala cs rb pl pm php lua hs ml mli ex exs erl tex bib sql"

static void draft_make(drafts *d)
{
    static const char *const files[] = { "GNUmakefile", "makefile", "Makefile", NULL };
    int at = 0;
    while (files[at] && !is_there(files[at])) at++;
    if (!files[at]) return;
    const char *text = text_of(d->c, files[at]);
    d->found[d->found_count++] = files[at];
    draft *t = add(d, "build", "make", NULL);
    const char *test = has_target(text, "test") ? "make test"
                     : has_target(text, "check") ? "make check" : NULL;
    if (test) add(d, "test", test, "build");
    for (t = &d->tasks[d->begun]; t < &d->tasks[d->count]; t++) {
        add_input(t, files[at]);
        add_sources(d->c, t, ALL_ENDS);
        if (!t->inputs[1]) forget_inputs(t); // what it makes is made of something
    }
}

// What a build leaves is in build/, and it goes on from there: each task makes what it needs.
static void draft_cmake(drafts *d)
{
#define CMAKE "cmake -S . -B build && cmake --build build"
    static const char *const files[] = { "CMakeLists.txt", "CMakePresets.json", NULL };
    if (!is_there("CMakeLists.txt")) return;
    const char *text = text_of(d->c, "CMakeLists.txt");
    d->found[d->found_count++] = "CMakeLists.txt";
    add(d, "build", CMAKE, NULL);
    if (strstr(text, "enable_testing") || strstr(text, "CTest"))
        add(d, "test", CMAKE " && ctest --test-dir build --output-on-failure", "build");
    for (draft *t = &d->tasks[d->begun]; t < &d->tasks[d->count]; t++) {
        add_files(t, files);
        add_input(t, "*/**/CMakeLists.txt");
        add_sources(d->c, t, C_ENDS);
    }
#undef CMAKE
}

// The folder a package says it is built into, NULL: it does not.
static const char *built_into(cli *c, const sykli_json_doc *package)
{
    static const char *const usual[] = { "dist", "build", "lib", "out" };
    const char *main = sykli_arg_text(package, "main", ""), *config = text_of(c, "tsconfig.json");
    if (!strncmp(main, "./", 2)) main += 2;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t size = strlen(usual[i]);
        const char *out = cli_print(c, "\"outDir\": \"./%s", usual[i]);
        if ((!strncmp(main, usual[i], size) && main[size] == '/') || strstr(config, out))
            return usual[i];
    }
    return NULL;
}

// The script of a package, NULL: there is none, or the one that npm init writes, which fails.
static const char *script(const sykli_json_doc *package, const char *name)
{
    uint32_t scripts = sykli_json_get(package, 0, "scripts");
    const char *text = scripts
        ? sykli_json_text(package, sykli_json_get(package, scripts, name)) : NULL;
    return text && !strstr(text, "no test specified") ? text : NULL;
}

static const char *const npm_files[] = { "package.json", "package-lock.json", "yarn.lock",
                                         "pnpm-lock.yaml", NULL };

static void draft_scripts(drafts *d, const sykli_json_doc *package, const char *tool,
                          const char *install)
{
    static const char *const names[] = { "lint", "build", "test" };
    static const char ends[] = "js mjs cjs jsx ts mts tsx json css html vue svelte";
    const char *build = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!script(package, names[i])) continue;
        bool is_build = i == 1;
        draft *t = add(d, names[i], cli_print(d->c, "%s run %s", tool, names[i]),
                       i == 2 && build ? build : install);
        if (is_build) t->output = built_into(d->c, package);
        if (is_build) build = t->name;
        if (is_build && !t->output) continue; // nobody knows what to restore: it always runs
        add_files(t, npm_files + 2);
        add_input(t, ".*rc"); // of npm, babel, eslint and so on
        add_input(t, ".*rc.*");
        add_sources(d->c, t, ends);
    }
}

static void draft_npm(drafts *d)
{
    sykli_json_doc package;
    const char *text = text_of(d->c, "package.json");
    if (!*text || sykli_json_parse(&package, &d->c->mem, text, strlen(text), &d->c->fault) < 0)
        return;
    bool locked = is_there("package-lock.json"), needs = sykli_json_get(&package, 0, "dependencies")
        || sykli_json_get(&package, 0, "devDependencies");
    const char *tool = is_there("pnpm-lock.yaml") ? "pnpm" : is_there("yarn.lock") ? "yarn" : "npm";
    const char *install = locked ? "npm ci" : "npm install --no-package-lock";
    if (strcmp(tool, "npm")) install = cli_print(d->c, "%s install --frozen-lockfile", tool);
    d->found[d->found_count++] = "package.json";
    if (needs) {
        draft *t = add(d, "install", install, NULL);
        t->output = "node_modules";
        add_files(t, npm_files);
    }
    draft_scripts(d, &package, tool, needs ? "install" : NULL);
    sykli_json_free(&package);
}

static void draft_go(drafts *d)
{
    static const char *const files[] = { "go.mod", "go.sum", NULL };
    if (!is_there("go.mod")) return;
    d->found[d->found_count++] = "go.mod";
    add(d, "vet", "go vet ./...", NULL);
    add(d, "test", "go test ./...", NULL);
    for (draft *t = &d->tasks[d->begun]; t < &d->tasks[d->count]; t++) {
        add_files(t, files);
        add_sources(d->c, t, "go");
        add_input(t, "**/testdata/**");
    }
}

static void draft_cargo(drafts *d)
{
    static const char *const files[] = { "Cargo.lock", ".cargo/config.toml", NULL };
    if (!is_there("Cargo.toml")) return;
    d->found[d->found_count++] = "Cargo.toml";
    add(d, "build", "cargo build", NULL);
    add(d, "test", "cargo test", "build"); // which builds, too: nothing has to be restored
    for (draft *t = &d->tasks[d->begun]; t < &d->tasks[d->count]; t++) {
        add_files(t, files);
        add_sources(d->c, t, "rs toml");
    }
}

static void draft_all(drafts *d)
{
    static void (*const tools[])(drafts *) = { draft_cmake, draft_make, draft_npm, draft_go,
                                               draft_cargo };
    static const char *const names[] = { "cmake", "make", "npm", "go", "cargo" };
    size_t ends[sizeof tools / sizeof *tools];
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        d->begun = d->count;
        tools[i](d);
        ends[i] = d->count;
    }
    for (size_t i = 0, at = 0; i < sizeof tools / sizeof *tools && d->found_count > 1; i++)
        for (; at < ends[i]; at++) { // several tools: their tasks are told apart
            draft *t = &d->tasks[at];
            t->name = cli_print(d->c, "%s-%s", names[i], t->name);
            if (t->after) t->after = cli_print(d->c, "%s-%s", names[i], t->after);
        }
    if (d->count) return;
    const char *command = cli_print(d->c, "echo hello, write your tasks into %s", d->path);
    draft *t = add(d, "hello", command, NULL);
    add_input(t, d->path);
}

// ---- writing ----

static void put(sykli_buf *b, const char *before, const char *text)
{
    sykli_buf_text(b, before);
    sykli_json_quote(b, text, strlen(text));
}

static void write_json(sykli_buf *b, const drafts *d)
{
    sykli_buf_text(b, "{\n  \"version\": \"1\",\n  \"tasks\": [\n");
    for (size_t i = 0; i < d->count; i++) {
        const draft *t = &d->tasks[i];
        put(b, i ? ",\n    {\n      \"name\": " : "    {\n      \"name\": ", t->name);
        put(b, ",\n      \"command\": ", t->command);
        if (t->after) put(b, ",\n      \"depends_on\": [", t->after);
        if (t->after) sykli_buf_text(b, "]");
        for (size_t k = 0; t->inputs[k]; k++)
            put(b, k ? ", " : ",\n      \"inputs\": [", t->inputs[k]);
        if (*t->inputs) sykli_buf_text(b, "]");
        if (t->output) put(b, ",\n      \"outputs\": [", t->output);
        sykli_buf_text(b, t->output ? "]\n    }" : "\n    }");
    }
    sykli_buf_text(b, "\n  ]\n}\n");
}

static bool has_followers(const drafts *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->tasks[i].after && !strcmp(d->tasks[i].after, name)) return true;
    return false;
}

// A name as a variable: those of the drafts are letters and dashes.
static const char *variable(cli *c, const char *name)
{
    char *text = cli_copy(c, name, strlen(name));
    for (char *p = text; *p; p++)
        if (*p == '-') *p = '_';
    return text;
}

// What JSON escapes in these texts C escapes alike.
static void write_c_task(sykli_buf *b, const drafts *d, const draft *t)
{
    size_t count = 0;
    while (t->inputs[count]) count++;
    bool inlined = count <= SYKLI_INLINE_MAX;
    sykli_buf_text(b, "    ");
    if (has_followers(d, t->name)) sykli_buf_print(b, "sykli_task %s = ", variable(d->c, t->name));
    put(b, "sykli_add(s, &(sykli_task_desc){\n        .name = ", t->name);
    put(b, ",\n        .command = ", t->command);
    if (t->after) sykli_buf_print(b, ",\n        .after = { %s }", variable(d->c, t->after));
    if (count)
        sykli_buf_text(b, inlined ? ",\n        .inputs = { "
                                  : ",\n        .input_list = (const char *const[]){ ");
    for (size_t k = 0; k < count; k++) put(b, k ? ", " : "", t->inputs[k]);
    if (count) sykli_buf_text(b, " }");
    if (!inlined) sykli_buf_print(b, ",\n        .input_count = %zu", count);
    if (t->output) put(b, ",\n        .outputs = { { \"output\", ", t->output);
    sykli_buf_text(b, t->output ? " } }\n    });\n" : "\n    });\n");
}

static void write_c(sykli_buf *b, const drafts *d)
{
    sykli_buf_text(b, "// The pipeline of this project; `sykli` runs it.\n"
                      "#define SYKLI_IMPLEMENTATION\n#include \"sykli.h\"\n\n"
                      "int main(int argc, char **argv)\n{\n    sykli *s = sykli_open(NULL);\n");
    for (size_t i = 0; i < d->count; i++) write_c_task(b, d, &d->tasks[i]);
    sykli_buf_text(b, "    return sykli_main(s, argc, argv);\n}\n");
}

static int tell(cli *c, const drafts *d, const char *path)
{
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    put(&b, "{\"path\":", path);
    sykli_buf_text(&b, ",\"found\":[");
    for (size_t i = 0; i < d->found_count; i++) put(&b, i ? "," : "", d->found[i]);
    sykli_buf_print(&b, "],\"tasks\":%zu}", d->count);
    if (c->json) cli_envelope(c, true, (const char *)b.data);
    sykli_buf_free(&b);
    if (c->json) return CLI_OK;
    printf("%s is written: %zu task%s", path, d->count, d->count == 1 ? "" : "s");
    for (size_t i = 0; i < d->found_count; i++)
        printf("%s%s", i ? ", " : " from ", d->found[i]);
    puts("; sykli runs it");
    for (size_t i = 0; i < d->count; i++)
        if (!strcmp(d->tasks[i].name, "build") && d->tasks[i].inputs[0] && !d->tasks[i].output) {
            puts("give build its outputs: as it is, a hit says that it passed "
                 "and puts nothing back");
            break;
        }
    for (size_t i = 0; i < d->count; i++)
        if (!d->tasks[i].inputs[0])
            printf("%s always runs: name what it reads as its inputs\n", d->tasks[i].name);
    return CLI_OK;
}

static int run(cli *c)
{
    static const char *const langs[] = { "json", "c", NULL };
    static const char *const paths[] = { "sykli.json", "sykli.c" };
    sykli_buf b;
    int lang, code = cli_choice(c, "lang", langs, 0, &lang);
    if (!code) code = cli_arguments(c, 0, 0);
    if (code) return code;
    const char *path = paths[lang];
    drafts d = { .c = c, .path = path };
    if (is_there(path) && !cli_has(c, "force"))
        return cli_fail(c, CLI_FAILED, "exist", "sykli init --force writes over it",
                        "%s is there already", path);
    draft_all(&d);
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    lang ? write_c(&b, &d) : write_json(&b, &d);
    int rc = b.error ? sykli_fail(&c->fault, b.error, "out of memory")
                     : cli_write(c, path, b.data, b.size);
    sykli_buf_free(&b);
    if (rc) return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "%s", c->fault.text);
    return tell(c, &d, path);
}

const cli_verb verb_init = { "init", "look at the project and write a pipeline to start from",
                             "[--lang json|c] [--force]", "sykli init", options, NULL, run };
