// Input: a letter that chooses, then what is in a file that we read back: h the history's digest, a
// NUL and a record; k two manifests of keys; m a memo; r a row file; t a stat cache. Where a
// checksum is in the file it is right: whoever scribbles can count. What is read is what our own
// code could have written, and what is written of it reads as the same.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

// Two folders and three files for whoever asks: what is open is known by its number.
enum { FOLDER = 100, DIGEST, RECORD, FRESH };
typedef struct files {
    test t; // first: the calls get it
    sykli_buf file[FRESH + 1 - DIGEST];
    size_t at;
    int open;
} files;

static const char record_name[] = "00000000000001-0123456789abcdef.jsonl";

static int files_open(void *u, int dir, const char *path, int flags, int mode)
{
    files *f = (files *)u;
    (void)dir, (void)mode;
    f->open++;
    f->at = 0;
    if (flags & SYKLI_OPEN_directory) return FOLDER;
    if (!(flags & SYKLI_OPEN_write)) return strstr(path, "durations") ? DIGEST : RECORD;
    sykli_buf_reset(&f->file[FRESH - DIGEST]);
    return FRESH;
}

static int64_t files_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    const sykli_buf *from = &((files *)u)->file[fd - DIGEST];
    if (at >= from->size) return 0;
    if (size > from->size - at) size = from->size - (size_t)at;
    memcpy(out, from->data + at, size);
    return (int64_t)size;
}

static int64_t files_read(void *u, int fd, void *out, size_t size)
{
    files *f = (files *)u;
    int64_t got = files_pread(u, fd, out, size, f->at);
    f->at += (size_t)got;
    return got;
}

static int64_t files_write(void *u, int fd, const void *data, size_t size)
{
    files *f = (files *)u;
    FUZZ_CHECK(fd == FRESH && !sykli_buf_add(&f->file[FRESH - DIGEST], data, size));
    return (int64_t)size;
}

static int files_fstat(void *u, int fd, sykli_stat *out)
{
    memset(out, 0, sizeof *out);
    out->type = SYKLI_FILE_regular;
    out->size_bytes = ((files *)u)->file[fd - DIGEST].size;
    return 0;
}

static int files_list(void *u, int fd, int (*each)(void *to, const char *name, int type), void *to)
{
    (void)u, (void)fd;
    int rc = each(to, record_name, SYKLI_FILE_regular);
    return rc ? rc : each(to, "7.9", SYKLI_FILE_regular); // a row file's
}

static void files_close(void *u, int fd)
{
    (void)fd;
    ((files *)u)->open--;
}

static int files_mkdir(void *u, int dir, const char *path, int mode)
{
    (void)u, (void)dir, (void)path, (void)mode;
    return -EEXIST;
}

static int files_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    (void)dir, (void)path;
    return files_fstat(u, RECORD, out);
}

static int files_rename(void *u, int from_dir, const char *from, int to_dir, const char *to)
{
    (void)u, (void)from_dir, (void)from, (void)to_dir, (void)to;
    return 0;
}

static int files_remove(void *u, int dir, const char *path, int is_directory)
{
    (void)u, (void)dir, (void)path, (void)is_directory;
    return 0;
}

static int files_random(void *u, void *out, size_t size)
{
    (void)u;
    memset(out, 7, size);
    return 0;
}

static void files_begin(files *f)
{
    test_begin(&f->t, 0);
    f->at = 0, f->open = 0;
    f->t.sys.open = files_open, f->t.sys.close = files_close, f->t.sys.read = files_read;
    f->t.sys.pread = files_pread, f->t.sys.write = files_write, f->t.sys.fstat = files_fstat;
    f->t.sys.list = files_list, f->t.sys.mkdir = files_mkdir, f->t.sys.stat = files_stat;
    f->t.sys.rename = files_rename, f->t.sys.remove = files_remove;
    f->t.sys.random = files_random;
    for (int i = 0; i <= FRESH - DIGEST; i++)
        sykli_buf_init(&f->file[i], &f->t.mem, SYKLI_TAG_host);
}

static void files_end(files *f)
{
    for (int i = 0; i <= FRESH - DIGEST; i++) sykli_buf_free(&f->file[i]);
    FUZZ_CHECK(!f->open);
    fuzz_end(&f->t);
}

static void set(files *f, int fd, const void *data, size_t size)
{
    sykli_buf_reset(&f->file[fd - DIGEST]);
    sykli_buf_add(&f->file[fd - DIGEST], data, size);
}

// What was written stands in the place of another file.
static void install(files *f, int fd)
{
    const sykli_buf *fresh = &f->file[FRESH - DIGEST];
    set(f, fd, fresh->data, fresh->size);
}

// ---- history ----
static int each_task(void *to, const sykli__history_task *task)
{
    const char *texts[] = { task->name, task->reason, task->from, task->log, task->key,
                            task->log_id };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *(size_t *)to += texts[i] ? strlen(texts[i]) : 0;
    FUZZ_CHECK(task->name && task->status < SYKLI_STATUS_COUNT);
    return 0;
}

// What one knows and is not too old, the other knows too, a run older.
static void check_known(const sykli__history *was, const sykli__history *is)
{
    const void *name;
    size_t size, at = 0;
    uint64_t i;
    while (sykli_map_next(&was->names, &at, &name, &size, &i)) {
        sykli__history_known a = was->known[i];
        const uint64_t *found = sykli_map_get(&is->names, name, size);
        FUZZ_CHECK((found != NULL) == (a.age <= SYKLI__HISTORY_AGE_MAX));
        if (!found) continue;
        const sykli__history_known *b = &is->known[*found];
        FUZZ_CHECK(a.age == b->age && a.outcome == b->outcome && a.count == b->count);
        FUZZ_CHECK(!memcmp(a.times, b->times, a.count * sizeof *a.times));
        FUZZ_CHECK(!strcmp(a.key, b->key));
        FUZZ_CHECK(!a.flaky_ms || (a.flips == b->flips && a.retried == b->retried));
        FUZZ_CHECK(a.flaky_ms == b->flaky_ms);
    }
}

static void fuzz_history(files *f, const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size, texts = 0;
    size_t behind = first + (cut != NULL);
    sykli__history h, again;
    sykli__history_run run;
    sykli_buf parts;
    char key[65];
    uint64_t median, last;
    sykli_buf_init(&parts, &f->t.mem, SYKLI_TAG_host);
    set(f, DIGEST, data, first);
    set(f, RECORD, data + behind, size - behind);
    FUZZ_CHECK(!sykli__history_open(&h, &f->t.mem, "project", NULL, &f->t.fault));
    FUZZ_CHECK(!sykli__history_load(&h, 0, &run, each_task, &texts));
    sykli__history_ready(&h);
    FUZZ_CHECK(!h.lost);
    sykli__history_duration(&h, "a", &median, &last);
    sykli__history_key_of(&h, "0123", "a", key, &f->t.fault);
    sykli__history_key_find(&h, "a", key, &parts);
    FUZZ_CHECK(!sykli__history_digest_save(&h));
    install(f, DIGEST);
    FUZZ_CHECK(!sykli__history_open(&again, &f->t.mem, "project", NULL, &f->t.fault));
    sykli__history_ready(&again);
    FUZZ_CHECK(!strcmp(h.folded, again.folded));
    check_known(&h, &again);
    sykli__history_close(&h);
    sykli__history_close(&again);
    sykli_buf_free(&parts);
}

// ---- keys ----
static int each_change(void *to, const char *part, const char *name, const char *old_value,
                       const char *new_value)
{
    FUZZ_CHECK(!old_value || !new_value || strcmp(old_value, new_value));
    FUZZ_CHECK(!sykli__key_reason((sykli_buf *)to, part, name, old_value, new_value));
    return 0;
}

// As two manifests, as a git configuration and as a program.
static void fuzz_key(files *f, const uint8_t *data, size_t size)
{
    char *was = fuzz_text(data, size), loader[256] = "", version[32];
    size_t first = strlen(was), behind = first < size ? first + 1 : size;
    char *is = fuzz_text(data + behind, size - behind);
    const char *url = "";
    bool big;
    sykli_buf out;
    sykli_buf_init(&out, &f->t.mem, SYKLI_TAG_host);
    FUZZ_CHECK(!sykli__key_diff(&f->t.mem, was, is, each_change, &out));
    sykli_buf_reset(&out);
    FUZZ_CHECK(!sykli__key_diff(&f->t.mem, was, was, each_change, &out) && !out.size);
    size_t found = sykli__key_git_url(was, &url);
    if (found) sykli__key_origin(url, found, &out);
    set(f, RECORD, data, size);
    if (size > 64) {
        sykli__key_machine(data, &big);
        sykli__key_loader(data, size, big, loader);
        FUZZ_CHECK(strlen(loader) < sizeof loader);
    }
    sykli__key_version_at(&f->file[RECORD - DIGEST], "release version ", version);
    sykli__key_musl_version(&f->file[RECORD - DIGEST], version);
    sykli_buf_free(&out);
    free(was);
    free(is);
}

// ---- memo ----
enum { TASKS = 3 };
static const char *name_of(const void *user, size_t number)
{
    static const char *const names[TASKS] = { "", "a", "bc" };
    (void)user;
    return names[number];
}

static uint64_t number(fuzz_in *in)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) n = n << 8 | fuzz_byte(in);
    return n;
}

// A file with these records: for each a byte for the place of its name, one for where it is from,
// one for the marks and when it was seen. What is left is the texts.
static void put_memo(sykli_buf *out, fuzz_in *in)
{
    sykli__memo_header h = { .record_size = sizeof(sykli__memo_task), .count = fuzz_byte(in) % 5,
                             .store = fuzz_byte(in), .secret = { 7, 7 } };
    memcpy(h.magic, sykli__memo_magic, sizeof h.magic);
    sykli_buf_add(out, &h, sizeof h);
    for (uint64_t i = 0; i < h.count; i++) {
        sykli__memo_task task = { .name_at = fuzz_byte(in), .from_at = fuzz_byte(in) };
        task.inputs[0] = task.input_stats[0] = task.outputs[0] = fuzz_byte(in) % 2;
        task.looked_ms = (int64_t)number(in);
        sykli_buf_add(out, &task, sizeof task);
    }
    sykli_buf_add(out, in->at, in->left);
    h.text_size = in->left;
    h.check = sykli_siphash(h.secret, out->data + sizeof h, out->size - sizeof h);
    memcpy(out->data, &h, sizeof h);
}

// How many records are of a task. Ours has one; of two strange ones either may be found.
static size_t count_of(const sykli__memo *m, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < m->head.count; i++)
        count += !strcmp(sykli__memo_name(m, &m->old[i]), name);
    return count;
}

static void fuzz_memo(files *f, const uint8_t *data, size_t size)
{
    const int64_t now_ms = 1700000000000;
    static const uint64_t mark[2] = { 1, 0 };
    fuzz_in in = { data, size };
    sykli__memo m, again;
    int64_t looked_ms[TASKS] = { 0 };
    put_memo(&f->file[RECORD - DIGEST], &in);
    FUZZ_CHECK(!sykli__memo_open(&m, &f->t.mem, FOLDER, TASKS, 7));
    for (size_t i = 0; i < TASKS; i++) {
        sykli__memo_task *task = sykli__memo_recall(&m, i, name_of(NULL, i), mark, i == 1, now_ms);
        if (!task) continue;
        FUZZ_CHECK(task->looked_ms <= now_ms && strlen(task->from) < size);
        if (i == 2) sykli__memo_drop(&m, i);
        else sykli__memo_stand(&m, i, mark, mark), looked_ms[i] = task->looked_ms;
    }
    FUZZ_CHECK(!sykli__memo_save(&m, FOLDER, now_ms, name_of, NULL));
    if (m.changed) {
        install(f, RECORD);
        FUZZ_CHECK(!sykli__memo_open(&again, &f->t.mem, FOLDER, TASKS, 7));
        FUZZ_CHECK(again.head.record_size); // it is whole
        for (size_t i = 0; i < TASKS; i++) {
            if (!looked_ms[i] || count_of(&m, name_of(NULL, i)) > 1) continue;
            const sykli__memo_task *task =
                sykli__memo_recall(&again, i, name_of(NULL, i), mark, true, now_ms);
            FUZZ_CHECK(task && task->looked_ms == looked_ms[i]);
            FUZZ_CHECK(!strcmp(task->from, m.tasks[i]->from));
        }
        sykli__memo_free(&again);
    }
    sykli__memo_free(&m);
}

// ---- row files ----
#define LAMP_COLUMNS(X, T)                                                                         \
    X(T, U64, serial, 0, none, public, "")                                                         \
    X(T, REF, name, 0, none, public, "")                                                           \
    X(T, STR, room, 8, none, public, "")                                                           \
    X(T, ENUM, status, sykli_status_names, none, public, "")                                       \
    X(T, BOOL, on, 0, none, public, "")
SYKLI_ROW(lamp, LAMP_COLUMNS)
SYKLI_COLUMNS(lamp, LAMP_COLUMNS)
static const sykli_table lamp_table = { "lamps", "", lamp_columns, 5, sizeof(lamp), 0, NULL, NULL };

static int see(sykli_emit *to, const void *row)
{
    static volatile uint8_t last; // all bytes of a text are read
    for (size_t i = 0; i < lamp_table.column_count; i++) {
        sykli_value v = sykli__table_value(&lamp_table.columns[i], row, to);
        for (size_t k = 0; v.kind == SYKLI_KIND_TEXT && k < v.text_size; k++)
            last = (uint8_t)v.text[k];
        FUZZ_CHECK(v.kind != SYKLI_KIND_ENUM || v.text);
    }
    (void)last;
    FUZZ_CHECK(to->node && strlen(to->node) < SYKLI_NODE_NAME_MAX + 8);
    return 0;
}

// A header as a writer makes it, then changed: a byte for how often, and for each a place and what
// is put there. A byte for the size of the heap and its bytes; the rest is rows, a byte before each
// that breaks its checksum if it is odd.
static void put_rows(sykli_buf *out, fuzz_in *in)
{
    sykli__rows_header h;
    char slot[SYKLI__ROWS_SLOT_HEAD + sizeof(lamp) + 8] = "";
    lamp row;
    size_t slot_size = sykli__rows_slot_size(sizeof row), changes = fuzz_byte(in) % 16;
    memset(&h, 0, sizeof h);
    memcpy(h.magic, sykli__rows_magic, sizeof h.magic);
    h.endian = 0x01020304, h.pools = 1;
    h.heap_at = sizeof h, h.heap_size = fuzz_byte(in), h.heap_used = h.heap_size / 2;
    strcpy(h.pool[0].table, "lamps");
    h.pool[0].schema = sykli__rows_schema(&lamp_table);
    h.pool[0].at = h.heap_at + h.heap_size;
    h.pool[0].row_size = sizeof row;
    h.pool[0].capacity = h.pool[0].high = fuzz_byte(in) % 64;
    for (size_t i = 0; i < changes; i++) {
        size_t at = fuzz_byte(in);
        at = (at << 8 | fuzz_byte(in)) % (offsetof(sykli__rows_header, pool) + 64);
        ((uint8_t *)&h)[at] = fuzz_byte(in);
    }
    h.check = sykli__rows_header_check(&h);
    sykli_buf_add(out, &h, sizeof h);
    for (size_t i = fuzz_byte(in); i; i--) sykli_buf_add(out, (uint8_t[]){ fuzz_byte(in) }, 1);
    for (uint32_t i = 0; in->left; i++) {
        bool broken = fuzz_byte(in) & 1;
        sykli__rows_slot s = { .sequence = i, .used = fuzz_byte(in) };
        memset(&row, 0, sizeof row);
        for (size_t k = 0; k < sizeof row; k++) ((uint8_t *)&row)[k] = fuzz_byte(in);
        sykli__rows_slot_store(slot, i, &s, (const char *)&row, sizeof row);
        slot[0] ^= (char)broken;
        sykli_buf_add(out, slot, slot_size);
    }
}

static void fuzz_rows(files *f, const uint8_t *data, size_t size)
{
    fuzz_in in = { data, size };
    sykli_emit emit = { .row = see };
    put_rows(&f->file[RECORD - DIGEST], &in);
    FUZZ_CHECK(!sykli__rows_scan_dir(&f->t.mem, "state", &lamp_table, NULL, true, &emit));
}

// ---- the stat cache ----
static void fuzz_tree(files *f, const uint8_t *data, size_t size)
{
    sykli_buf *file = &f->file[RECORD - DIGEST], once, twice;
    sykli__tree t, again;
    sykli_buf_init(&once, &f->t.mem, SYKLI_TAG_host);
    sykli_buf_init(&twice, &f->t.mem, SYKLI_TAG_host);
    sykli_buf_text(file, SYKLI__TREE_MAGIC);
    sykli__tree_put_number(file, SYKLI__TREE_VERSION, 4);
    sykli_buf_add(file, data, size);
    sykli__tree_put_number(file, sykli_siphash(sykli__tree_sum_key, file->data, file->size), 8);
    FUZZ_CHECK(!sykli__tree_open(&t, &f->t.mem, ".", "stat", &f->t.fault));
    sykli_stat stat = { .type = SYKLI_FILE_regular };
    sykli__tree_known_get(&t, "a", &stat); // reads it
    FUZZ_CHECK(t.places.count <= size && !t.changed);
    size_t rested = 0;
    for (size_t i = 0; i < t.places.count; i++)
        rested += sykli__tree_rested(&t.known[i].stat, t.known[i].seen_ns);
    FUZZ_CHECK(rested <= t.places.count);
    FUZZ_CHECK(!sykli__tree_encode(&t, &once));
    set(f, RECORD, once.data, once.size);
    FUZZ_CHECK(!sykli__tree_open(&again, &f->t.mem, ".", "stat", &f->t.fault));
    sykli__tree_known_ready(&again);
    FUZZ_CHECK(!sykli__tree_encode(&again, &twice));
    FUZZ_CHECK(once.size == twice.size && !memcmp(once.data, twice.data, once.size));
    sykli__tree_close(&t);
    sykli__tree_close(&again);
    sykli_buf_free(&once);
    sykli_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    files f;
    files_begin(&f);
    switch (data[0]) {
    case 'h': fuzz_history(&f, data + 1, size - 1); break;
    case 'k': fuzz_key(&f, data + 1, size - 1); break;
    case 'm': fuzz_memo(&f, data + 1, size - 1); break;
    case 'r': fuzz_rows(&f, data + 1, size - 1); break;
    case 't': fuzz_tree(&f, data + 1, size - 1); break;
    default: break;
    }
    files_end(&f);
    return 0;
}
