// What a run leaves in the project, and what the next one knows from it.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static void folder_make(char *out)
{
    snprintf(out, 40, "%s/sykli-history-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(out)) *out = 0;
}

static void folder_remove(const char *dir)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command)) printf("  %s stays\n", dir);
}

static void file_append(const char *dir, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "a");
    if (file) fputs(text, file);
    if (file) fclose(file);
}

static int files_in(const char *dir, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/.sykli/%s", dir, name);
    DIR *d = opendir(path);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));) count += e->d_name[0] != '.';
    if (d) closedir(d);
    return count;
}

static sykli__history_task task_of(const char *name, sykli_status status, uint64_t ms)
{
    sykli__history_task task;
    memset(&task, 0, sizeof task);
    task.name = name, task.status = status, task.duration_ms = ms;
    task.key = "00ff";
    return task;
}

typedef struct told { int count; char text[4000]; } told;

static int tell(void *to, const sykli__history_task *task)
{
    told *t = (told *)to;
    size_t used = strlen(t->text);
    t->count++;
    snprintf(t->text + used, sizeof t->text - used, "%s %s %d %llu%s%s\n", task->name,
             sykli_status_names[task->status], task->exit_code,
             (unsigned long long)task->duration_ms, task->reason ? " " : "",
             task->reason ? task->reason : "");
    return 0;
}

static told tell_run(sykli__history *h, size_t back, sykli__history_run *run, int *rc)
{
    told t = { 0, "" };
    *rc = sykli__history_load(h, back, run, tell, &t);
    return t;
}

// A run whose record cannot be written does not begin; an empty one would stand before the last
// that did, for all who look back.
static void what_did_not_begin_leaves_no_record(test *t)
{
    char dir[40];
    sykli__history h;
    folder_make(dir);
    int opened = sykli__history_open(&h, &t->mem, dir, NULL, &t->fault);
    int begun = opened ? opened : sykli__history_begin(&h, 7, 1000, 3, &t->fault);
    if (!opened) CHECK_INT(files_in(dir, "runs"), begun ? 0 : 1);
    TRY(begun);
out:
    if (!opened) sykli__history_close(&h);
    folder_remove(dir);
}

static int64_t write_to_full(void *user, int fd, const void *data, size_t size)
{
    (void)user, (void)fd, (void)data, (void)size;
    return -ENOSPC;
}

static void why_it_did_not_begin_is_told(test *t)
{
    char dir[40];
    sykli__history h;
    folder_make(dir);
    int opened = sykli__history_open(&h, &t->mem, dir, NULL, &t->fault);
    TRY(opened);
    t->sys.write = write_to_full;
    int rc = sykli__history_begin(&h, 7, 1000, 3, &t->fault);
    CHECK(rc < 0);
    if (!t->injected) CHECK_TEXT(t->fault.text, "the record of run 7 cannot be written: No space "
                                                "left on device");
out:
    if (!opened) sykli__history_close(&h);
    folder_remove(dir);
}

static void a_run_is_recorded(test *t)
{
    char dir[40];
    sykli__history h;
    sykli__history_run run;
    int rc;
    folder_make(dir);
    int opened = sykli__history_open(&h, &t->mem, dir, NULL, &t->fault);
    TRY(opened);
    TRY(sykli__history_lock(&h, &t->fault));
    TRY(sykli__history_begin(&h, 7, 1000, 3, &t->fault));
    sykli__history_task task = task_of("lib \"x\"", SYKLI_STATUS_passed, 40);
    TRY(sykli__history_task_put(&h, &task));
    task = task_of("test\n", SYKLI_STATUS_failed, 50);
    task.exit_code = -3, task.reason = "exit code 3";
    TRY(sykli__history_task_put(&h, &task));
    task = task_of("doc", SYKLI_STATUS_cached, 0);
    TRY(sykli__history_task_put(&h, &task));
    TRY(sykli__history_end(&h, 2000, 1));
    told got = tell_run(&h, 0, &run, &rc);
    TRY(rc);
    CHECK_TEXT(got.text, "lib \"x\" passed 0 40\ntest\n failed -3 50 exit code 3\n"
               "doc cached 0 0\n");
    CHECK(run.run == 7 && run.started_ms == 1000 && run.ended_ms == 2000 && run.tasks == 3);
    CHECK(run.failed == 1 && (run.pid == getpid() || t->injected));
    tell_run(&h, 1, &run, &rc);
    if (!t->injected) CHECK_INT(rc, SYKLI_ENOENT);
    if (!t->injected) CHECK_INT(files_in(dir, "runs"), 1);
out:
    if (opened >= 0) sykli__history_close(&h);
    sykli__history_close(&h); // again: nothing
    folder_remove(dir);
}

static void durations_last_over_runs(test *t)
{
    static const uint64_t times[] = { 900, 10, 30, 20, 1000, 40, 50 };
    char dir[40];
    sykli__history h = { 0 };
    uint64_t median, last;
    folder_make(dir);
    for (uint64_t i = 0; i < 7; i++) {
        TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
        TRY_INT(sykli__history_begin(&h, i, 1000 + i, 1, &t->fault), 0);
        sykli__history_task task = task_of("a", SYKLI_STATUS_passed, times[i]);
        TRY_INT(sykli__history_task_put(&h, &task), 0);
        task = task_of("a", SYKLI_STATUS_failed, 77777); // says nothing of how long it takes
        TRY_INT(sykli__history_task_put(&h, &task), 0);
        if (i != 3) TRY_INT(sykli__history_end(&h, 2000, 0), 0); // the fourth was killed
        sykli__history_close(&h);
    }
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_TRUE(sykli__history_duration(&h, "a", &median, &last));
    TRY_INT(median, 40);
    TRY_INT(last, 50);
    TRY_TRUE(!sykli__history_duration(&h, "b", &median, &last));
    for (int i = 0; i < SYKLI__HISTORY_AGE_MAX + 1; i++) { // a task that is gone is forgotten
        TRY_INT(sykli__history_begin(&h, 100, 5000 + (uint64_t)i, 1, &t->fault), 0);
        TRY_INT(sykli__history_end(&h, 2000, 0), 0);
    }
    sykli__history_close(&h);
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_TRUE(!sykli__history_duration(&h, "a", &median, &last));
    TRY_INT(files_in(dir, "runs"), SYKLI__HISTORY_RUNS_MAX);
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static int lines_with(const char *dir, const char *name, const char *text)
{
    char command[200];
    snprintf(command, sizeof command, "test $(grep -c '%s' %s/.sykli/%s) = 1", text, dir, name);
    return system(command);
}

// A run without news reads no durations and writes none, but for how far they reach; what is asked
// for in the middle of it is there, with what the run has told until then.
static void what_nobody_asks_for_is_not_read(test *t)
{
    char dir[40];
    sykli__history h = { 0 };
    sykli__history_run run;
    uint64_t median, last;
    int rc;
    folder_make(dir);
    for (uint64_t i = 1; i <= 4; i++) {
        TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
        TRY_INT(h.loaded, i == 1);
        TRY_INT(sykli__history_begin(&h, i, 1000 * i, 1, &t->fault), 0);
        sykli__history_task task =
            task_of("a", i == 1 ? SYKLI_STATUS_passed : SYKLI_STATUS_cached, 30);
        TRY_INT(sykli__history_task_put(&h, &task), 0);
        task.key = "0100";
        if (i == 4) TRY_INT(sykli__history_task_put(&h, &task), 0);
        if (i == 4) TRY_TRUE(sykli__history_find(&h, "a"));
        if (i == 4) TRY_TEXT(sykli__history_find(&h, "a")->key, "0100");
        TRY_INT(h.loaded, i == 1 || i == 4);
        TRY_INT(sykli__history_end(&h, 2000, 0), 0);
        if (i == 3) TRY_INT(lines_with(dir, "durations.jsonl", "00000000003000-"), 0);
        sykli__history_close(&h);
    }
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_TRUE(!h.loaded && sykli__history_duration(&h, "a", &median, &last) && last == 30);
    TRY_TRUE(h.loaded && sykli__history_find(&h, "a"));
    TRY_INT(sykli__history_find(&h, "a")->count, 1);
    told got = tell_run(&h, 0, &run, &rc);
    TRY_INT(got.count, 2);
    sykli__history_close(&h);
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_INT(sykli__history_begin(&h, 9, 9000, 1, &t->fault), 0);
    sykli__history_close(&h); // killed: the next one has something to read
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_TRUE(h.loaded && sykli__history_find(&h, "a"));
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static void a_killed_run_is_readable(test *t)
{
    char dir[40];
    sykli__history h = { 0 };
    sykli__history_run run;
    int rc, status;
    uint64_t median, last;
    folder_make(dir);
    int pid = fork();
    if (!pid) {
        test_calm(t);
        sykli__history_task task = task_of("done", SYKLI_STATUS_passed, 12);
        if (sykli__history_open(&h, &t->mem, dir, NULL, NULL) || sykli__history_lock(&h, NULL)
            || sykli__history_begin(&h, 1, 1000, 9, NULL) || sykli__history_task_put(&h, &task))
            _exit(1);
        raise(SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    file_append(dir, ".sykli/runs/00000000001000-0000000000000001.jsonl",
                "no json\n{}\n[1]\n{\"name\":\"odd\",\"status\":\"strange\"}\n"
                "{\"name\":\"cut\",\"sta");
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_INT(sykli__history_lock(&h, &t->fault), 0); // died with its owner
    TRY_INT(sykli__history_begin(&h, 2, 3000, 9, &t->fault), 0);
    told got = tell_run(&h, 0, &run, &rc); // the one in progress does not count
    TRY_INT(rc, 0);
    TRY_TEXT(got.text, "done passed 0 12\n");
    TRY_TRUE(run.run == 1 && run.ended_ms == 0 && run.tasks == 9);
    TRY_TRUE(sykli__history_duration(&h, "done", &median, &last) && last == 12);
    TRY_INT(sykli__history_begin(&h, 2, 3000, 9, &t->fault), SYKLI_EEXIST);
    TRY_TEXT(t->fault.text, "a record of run 2 is there already");
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static void logs_go_with_their_run(test *t)
{
    char dir[40], path[1024], first[1024] = "";
    sykli__history h = { 0 };
    sykli__history_run run;
    int rc;
    folder_make(dir);
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    for (uint64_t i = 0; i < SYKLI__HISTORY_RUNS_MAX + 5; i++) {
        TRY_INT(sykli__history_begin(&h, i, 1000 + i, 2, &t->fault), 0);
        int fd = sykli__history_log_open(&h, "../a/b: c", path, sizeof path, &t->fault);
        TRY(fd);
        int64_t wrote = t->sys.write(t->sys.user, fd, "log\n", 4);
        t->sys.close(t->sys.user, fd);
        TRY_INT(wrote, 4);
        TRY_TRUE(strstr(path, "/.sykli/logs/") && strstr(path, "/_._a_b__c-"));
        TRY_TRUE(!access(path, R_OK));
        if (!*first) strcpy(first, path);
        TRY_INT(sykli__history_end(&h, 2000, 0), 0);
    }
    TRY_INT(files_in(dir, "runs"), SYKLI__HISTORY_RUNS_MAX);
    TRY_INT(files_in(dir, "logs"), SYKLI__HISTORY_RUNS_MAX);
    TRY_TRUE(access(first, R_OK) && !access(path, R_OK));
    tell_run(&h, SYKLI__HISTORY_RUNS_MAX - 1, &run, &rc);
    TRY_TRUE(!rc && run.run == 5);
    char ignore[100];
    snprintf(ignore, sizeof ignore, "cat %s/.sykli/.gitignore | grep -qx '[*]'", dir);
    TRY_INT(system(ignore), 0);
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static void keys_are_kept_while_they_change(test *t)
{
    char dir[40];
    sykli__history h;
    sykli_buf text;
    int rc;
    folder_make(dir);
    sykli_buf_init(&text, &t->mem, SYKLI_TAG_drive);
    int opened = sykli__history_open(&h, &t->mem, dir, NULL, &t->fault);
    TRY(opened);
    TRY(sykli__history_begin(&h, 1, 1000, 1, &t->fault));
    rc = sykli__history_key_load(&h, "a", &text);
    if (!t->injected) CHECK_INT(rc, SYKLI_ENOENT);
    TRY(sykli__history_key_save(&h, "a", "00ff", "parts one", 9, NULL));
    TRY(sykli__history_key_load(&h, "a", &text));
    CHECK_TEXT((char *)text.data, "parts one");
    sykli__history_task task = task_of("a", SYKLI_STATUS_passed, 1);
    TRY(sykli__history_task_put(&h, &task));
    TRY(sykli__history_key_save(&h, "a", "00ff", "not written: the key is the same", 32, NULL));
    TRY(sykli__history_key_load(&h, "a", &text));
    if (sykli__history_find(&h, "a")) CHECK_TEXT((char *)text.data, "parts one");
    TRY(sykli__history_key_save(&h, "a", "0100", "parts two", 9, NULL));
    TRY(sykli__history_key_load(&h, "a", &text));
    CHECK_TEXT((char *)text.data, "parts two");
out:
    sykli_buf_free(&text);
    if (opened >= 0) sykli__history_close(&h);
    folder_remove(dir);
}

// A run of one task.
static int one(sykli__history *h, uint64_t run, const char *key, sykli_status status, int attempt,
               const char *manifest, sykli_fault *fault)
{
    sykli_buf before;
    sykli_buf_init(&before, h->mem, SYKLI_TAG_host);
    int rc = sykli__history_begin(h, run, run * 1000, 1, fault);
    if (!rc && manifest) {
        rc = sykli__history_key_load(h, "t", &before);
        if (rc == SYKLI_ENOENT) rc = 0;
        if (!rc) rc = sykli__history_key_save(h, "t", key, manifest, strlen(manifest), &before);
    }
    sykli_buf_free(&before);
    sykli__history_task task = { .name = "t", .status = status, .key = key, .attempt = attempt,
                                 .started_at_ms = run * 1000 };
    if (!rc) rc = sykli__history_task_put(h, &task);
    return rc ? rc : sykli__history_end(h, run * 1000 + 1, 0);
}

#define KEY_OF(c) c c c c c c c c c c c c c c c c

static void what_ends_now_so_now_so_is_known(test *t)
{
    static const char a[] = KEY_OF("aaaa"), b[] = KEY_OF("bbbb");
    static const struct {
        const char *key;
        sykli_status status;
        int attempt;
        uint32_t flips, again;
    } rows[] = {
        { a, SYKLI_STATUS_failed, 1, 0, 0 },  { a, SYKLI_STATUS_failed, 1, 0, 0 },
        { a, SYKLI_STATUS_passed, 1, 1, 0 },  { a, SYKLI_STATUS_cached, 0, 1, 0 },
        { a, SYKLI_STATUS_errored, 1, 2, 0 }, { b, SYKLI_STATUS_passed, 1, 2, 0 },
        { b, SYKLI_STATUS_passed, 2, 2, 1 },  { "", SYKLI_STATUS_blocked, 0, 2, 1 },
        { b, SYKLI_STATUS_failed, 3, 3, 1 } };
    char dir[64];
    sykli__history h = { 0 };
    folder_make(dir);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) { // each run reads what the others left
        TRY(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault));
        TRY(one(&h, i + 1, rows[i].key, rows[i].status, rows[i].attempt, NULL, &t->fault));
        const sykli__history_known *known = sykli__history_find(&h, "t");
        CHECK(known || t->injected);
        if (known && !t->injected) CHECK_INT(known->flips, rows[i].flips);
        if (known && !t->injected) CHECK_INT(known->retried, rows[i].again);
        sykli__history_close(&h);
    }
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static void keys_of_recorded_runs_are_kept(test *t)
{
    char dir[64], key[65], name[80], text[32];
    sykli__history h = { 0 };
    sykli_buf out;
    folder_make(dir);
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    TRY(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault));
    for (unsigned run = 1; run <= 24; run++) {
        snprintf(key, sizeof key, "%064x", run);
        snprintf(text, sizeof text, "part %u=\nlines\n", run);
        TRY(one(&h, run, key, SYKLI_STATUS_passed, 1, text, &t->fault));
    }
    for (unsigned run = 6; run <= 24; run++) {
        snprintf(name, sizeof name, "%016x", run);
        TRY(sykli__history_key_of(&h, name, "t", key, &t->fault));
        TRY(sykli__history_key_find(&h, "t", key, &out));
        snprintf(text, sizeof text, "part %u=\nlines\n", run);
        CHECK_TEXT((const char *)out.data, text);
    }
    CHECK(sykli__history_key_of(&h, "0000000000000001", "t", key, &t->fault) < 0);
    CHECK(sykli__history_key_of(&h, "0000000000000018", "other", key, &t->fault) < 0);
    snprintf(key, sizeof key, "%064x", 1);
    CHECK(sykli__history_key_find(&h, "t", key, &out) < 0);
out:
    sykli_buf_free(&out);
    sykli__history_close(&h);
    folder_remove(dir);
}

// Whatever stands in the digest, the records are read, and what is written of it can be read again.
static void a_strange_digest_hides_nothing(test *t)
{
    static const char digest[] = "{\"folded\":\"\\\"zzz\"}\n"
        "{\"name\":\"\xe1\",\"key\":\"ab\",\"age\":1,\"outcome\":1,\"times\":[7]}\n"
        "{\"name\":\"b\",\"key\":\"\\\"\\n\",\"age\":1,\"outcome\":1,\"times\":[8]}\n";
    char dir[40], path[80];
    sykli__history h = { 0 };
    uint64_t median, last;
    folder_make(dir);
    TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
    TRY_INT(sykli__history_begin(&h, 1, 1000, 1, &t->fault), 0);
    sykli__history_task task = task_of("a", SYKLI_STATUS_passed, 40);
    TRY_INT(sykli__history_task_put(&h, &task), 0);
    TRY_INT(sykli__history_end(&h, 2000, 0), 0);
    sykli__history_close(&h);
    snprintf(path, sizeof path, "%s/.sykli/durations.jsonl", dir);
    CHECK_INT(unlink(path), 0);
    file_append(dir, ".sykli/durations.jsonl", digest);
    for (int i = 0; i < 2; i++) {
        TRY_INT(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault), 0);
        TRY_TRUE(sykli__history_duration(&h, "a", &median, &last) && last == 40);
        TRY_TRUE(sykli__history_duration(&h, "b", &median, &last) && last == 8);
        TRY_TRUE(!sykli__history_duration(&h, "\xe1", &median, &last));
        TRY_INT(h.names.count, 2);
        TRY_INT(sykli__history_digest_save(&h), 0);
        sykli__history_close(&h);
    }
out:
    sykli__history_close(&h);
    folder_remove(dir);
}

static void one_run_at_a_time(test *t)
{
    char dir[40], want[100];
    sykli__history a = { 0 }, b = { 0 };
    folder_make(dir);
    TRY_INT(sykli__history_open(&a, &t->mem, dir, NULL, &t->fault), 0);
    TRY_INT(sykli__history_open(&b, &t->mem, dir, NULL, &t->fault), 0);
    TRY_INT(sykli__history_lock(&a, &t->fault), 0);
    TRY_INT(sykli__history_lock(&b, &t->fault), SYKLI_EBUSY);
    snprintf(want, sizeof want, "another run works in this project: process %d", (int)getpid());
    TRY_TEXT(t->fault.text, want);
    sykli__history_unlock(&a);
    TRY_INT(sykli__history_lock(&b, &t->fault), 0);
out:
    sykli__history_close(&a);
    sykli__history_close(&b);
    folder_remove(dir);
}

// A project from somebody else may have put a link there.
static void links_are_not_followed(test *t)
{
    char dir[40], other[40], path[80];
    sykli__history h;
    folder_make(dir);
    folder_make(other);
    snprintf(path, sizeof path, "%s/.sykli", dir);
    TRY_TRUE(!symlink(other, path));
    CHECK(sykli__history_open(&h, &t->mem, dir, NULL, &t->fault) < 0);
    TRY_TRUE(strstr(t->fault.text, "history in ") == t->fault.text);
    snprintf(path, sizeof path, "rmdir %s", other); // still empty
    TRY_INT(system(path), 0);
    TRY_INT(sykli__history_open(&h, &t->mem, "/nonesuch", NULL, &t->fault), SYKLI_ENOENT);
out:
    folder_remove(dir);
}

int main(int argc, char **argv)
{
    TEST_STORY(what_did_not_begin_leaves_no_record);
    TEST_STORY(why_it_did_not_begin_is_told);
    TEST_STORY(a_run_is_recorded);
    TEST_SOME(10, durations_last_over_runs);
    TEST_SOME(30, what_nobody_asks_for_is_not_read);
    TEST_SOME(30, a_killed_run_is_readable);
    TEST_SOME(10, logs_go_with_their_run);
    TEST_STORY(keys_are_kept_while_they_change);
    TEST_SOME(30, what_ends_now_so_now_so_is_known);
    TEST_SOME(30, keys_of_recorded_runs_are_kept);
    TEST_STORY(a_strange_digest_hides_nothing);
    TEST_STORY(one_run_at_a_time);
    TEST_STORY(links_are_not_followed);
    return test_end(argc, argv);
}
