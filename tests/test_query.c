// Stories of >>query: what is asked and answered, what is refused and where, many nodes as one,
// damaged results, rendering.
#define SYKLI_IMPLEMENTATION
#include "jobs.h"

static const job some_jobs[] = {
    { "build", running, 300u << 20, 134000, SYKLI_NULL_I64, 87.25, false, 1709208000250, 11, "s" },
    { "lint", passed, 20u << 20, 250, 0, 12.5, true, 1709208001000, 12, "s" },
    { "test", failed, 200u << 20, 61500, -1, 99.0, false, 1709208002000, 13, "s" },
    { "docs", passed, SYKLI_NULL_U64, SYKLI_NULL_U64, 0, 0.0, true, SYKLI_NULL_I64, 14, "s" },
};

// What a scan has to emit: rows of one node, or of several in turn.
typedef struct pile {
    const job *jobs;
    size_t count;
    const char *const *nodes; // node i has the rows i, i + nodes, ...; NULL: not said
    size_t node_count, only;  // only the rows of that node, if it is below node_count
    int result;
    size_t emitted;
} pile;

static int pile_scan(void *user, sykli_emit *to)
{
    pile *p = (pile *)user;
    p->emitted = 0;
    for (size_t i = 0; i < p->count; i++) {
        size_t node = p->node_count ? i % p->node_count : 0;
        if (p->only < p->node_count && node != p->only) continue;
        to->node = p->nodes ? p->nodes[node] : NULL;
        p->emitted++;
        int rc = to->row(to, &p->jobs[i]);
        if (rc) return rc;
    }
    return p->result;
}

typedef struct bench {
    pile rows;
    sykli__table_registry tables;
    sykli_role role;
    sykli_buf encoded, out;
} bench;

static int begin(bench *b, test *t)
{
    memset(b, 0, sizeof *b);
    b->rows = (pile){ some_jobs, 4, NULL, 0, 0, 0, 0 };
    b->role = SYKLI_ROLE_observer;
    sykli_buf_init(&b->encoded, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&b->out, &t->mem, SYKLI_TAG_host);
    sykli__table_init(&b->tables, &t->mem, NULL);
    sykli_table jobs = { "jobs", "", job_columns, sizeof job_columns / sizeof *job_columns,
                         sizeof(job), SYKLI_VISIBLE_public, pile_scan, &b->rows };
    sykli_table vault = jobs;
    vault.name = "vault";
    vault.visibility = SYKLI_VISIBLE_operator;
    int rc = sykli__table_add(&b->tables, &jobs, &t->fault);
    return rc ? rc : sykli__table_add(&b->tables, &vault, &t->fault);
}

static void end(bench *b)
{
    sykli__table_free(&b->tables);
    sykli_buf_free(&b->encoded);
    sykli_buf_free(&b->out);
}

static int run(bench *b, test *t, const char *query, bool part)
{
    sykli_buf_reset(&b->encoded);
    return sykli__query_run(&b->tables, &t->mem, query, b->role, "here", part, &b->encoded,
                            &t->fault);
}

static int render(bench *b, test *t, const char *query, sykli_format format)
{
    sykli_buf_reset(&b->out);
    int rc = run(b, t, query, false);
    if (rc) return rc;
    sykli_result *r = sykli_result_decode(&t->mem, b->encoded.data, b->encoded.size, &t->fault);
    if (!r) return t->fault.code;
    rc = sykli_result_render(r, format, &b->out);
    sykli_result_free(r);
    return rc;
}

// The names that a condition selects, as "build test"; "!" and the text for an error.
static const char *names(bench *b, test *t, const char *condition)
{
    static char text[2048];
    char query[1024];
    snprintf(query, sizeof query, "SELECT name FROM jobs WHERE %s", condition);
    int rc = render(b, t, query, SYKLI_FORMAT_csv);
    if (rc) {
        snprintf(text, sizeof text, "! %s", t->fault.text);
        return text;
    }
    char *to = text;
    for (const char *p = (char *)b->out.data + strlen("name\r\n"); *p; p += strcspn(p, "\n") + 1) {
        if (to != text) *to++ = ' ';
        for (const char *end = p + strcspn(p, "\r"); p < end; p++) *to++ = *p;
    }
    *to = 0;
    return text;
}

#define ANSWER(query, format, text)                                                                \
    do { TRY(render(&b, t, query, format)); CHECK_TEXT((char *)b.out.data, text); } while (0)

#define REFUSED(query, code)                                                                       \
    do { int rc_ = run(&b, t, query, false); if (t->injected) goto out; CHECK_INT(rc_, code);      \
    } while (0)

static void a_table_is_shown_to_people(test *t)
{
    bench b;
    TRY(begin(&b, t));
    ANSWER("SELECT node, name, status, memory_bytes, duration_ms, exit_code, load, cached,"
           " started_at FROM jobs ORDER BY memory_bytes DESC", SYKLI_FORMAT_table,
           "node  name   status   memory_bytes  duration_ms  exit_code    load  cached  "
           "              started_at\n"
           "here  build  running        300 MB       2m 14s             87.25%  false   "
           "2024-02-29T12:00:00.250Z\n"
           "here  test   failed         200 MB        1m 1s         -1  99.00%  false   "
           "2024-02-29T12:00:02.000Z\n"
           "here  lint   passed          20 MB        250ms          0  12.50%  true    "
           "2024-02-29T12:00:01.000Z\n"
           "here  docs   passed                                      0   0.00%  true\n");
    ANSWER("SELECT name FROM jobs WHERE name = 'nobody'", SYKLI_FORMAT_table, "name\n");
out:
    end(&b);
}

static void a_table_is_written_for_programs(test *t)
{
    bench b;
    TRY(begin(&b, t));
    ANSWER("select NAME, Memory_Bytes, load, cached from Jobs limit 2;", SYKLI_FORMAT_csv,
           "name,memory_bytes,load,cached\r\nbuild,314572800,87.25,false\r\n"
           "lint,20971520,12.5,true\r\n");
    ANSWER("SELECT name, memory_bytes, exit_code FROM jobs WHERE status = 'passed'",
           SYKLI_FORMAT_json,
           "{\"items\":[{\"name\":\"lint\",\"memory_bytes\":20971520,\"exit_code\":0},"
           "{\"name\":\"docs\",\"memory_bytes\":null,\"exit_code\":0}],"
           "\"columns\":[{\"name\":\"name\",\"unit\":\"none\"},"
           "{\"name\":\"memory_bytes\",\"unit\":\"bytes\"},"
           "{\"name\":\"exit_code\",\"unit\":\"none\"}]}");
    ANSWER("jobs WHERE name = 'test'", SYKLI_FORMAT_csv,
           "node,name,status,memory_bytes,duration_ms,exit_code,load,cached,started_at,pid\r\n"
           "here,test,failed,209715200,61500,-1,99,false,1709208002000,13\r\n");
out:
    end(&b);
}

static void conditions_select_rows(test *t)
{
    static const char *const rows[][2] = {
        { "name = 'lint'", "lint" }, { "name != \"lint\"", "build test docs" },
        { "name <> 'lint' AND name < 'docs'", "build" }, { "memory_bytes > 200MB", "build" },
        { "memory_bytes >= 200MB", "build test" }, { "memory_bytes <= '20 MiB'", "lint" },
        { "duration_ms > 2m", "build" }, { "duration_ms = 250", "lint" },
        { "duration_ms < 1.5s", "lint" }, { "exit_code < 0", "test" }, { "exit_code = -1", "test" },
        { "load > 12.5", "build test" }, { "load = 12.5", "lint" }, { "cached", "lint docs" },
        { "NOT cached", "build test" }, { "cached = false", "build test" },
        { "status = failed", "test" }, { "status IN ('failed', running)", "build test" },
        { "name NOT IN ('lint','docs')", "build test" }, { "pid IN (11, 14)", "build docs" },
        { "name LIKE '%i%'", "build lint" }, { "name LIKE '_i%'", "lint" },
        { "name LIKE 'test'", "test" }, { "name NOT LIKE '%t'", "build docs" },
        { "name LIKE '%%s%t'", "test" }, { "name LIKE ''", "" },
        { "status LIKE '%ed'", "lint test docs" },
        { "memory_bytes IS NULL", "docs" }, { "memory_bytes IS NOT NULL", "build lint test" },
        { "cached AND (load > 1 OR name = 'docs')", "lint docs" },
        { "cached AND load > 1 OR name = 'docs'", "lint docs" },
        { "name = 'build' OR cached AND load > 1", "build lint" },
        { "NOT name = 'build' AND NOT cached", "test" },
        { "NOT (name = 'build' OR cached)", "test" }, { "duration_ms > memory_bytes", "" },
        { "memory_bytes > duration_ms", "build lint test" }, { "node = 'here' and pid>13", "docs" },
        { "started_at > '2024-02-29T12:00:00.250Z'", "lint test" },
        { "started_at < '2024-03-01'", "build lint test" },
        { "started_at = 1709208001000", "lint" }, { "name = 'it''s'", "" },
        // Unknown is neither true nor false.
        { "memory_bytes < 1GB", "build lint test" }, { "NOT memory_bytes < 1GB", "" },
        { "memory_bytes < 1GB OR name = 'docs'", "build lint test docs" },
        { "NOT (memory_bytes < 1GB AND name = 'docs')", "build lint test" },
        { "memory_bytes NOT IN (1, 2)", "build lint test" },
    };
    bench b;
    TRY(begin(&b, t));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        TRY_TEXT(names(&b, t, rows[i][0]), rows[i][1]);
    static const job umlauts[] = { { .name = "\xc3\xbc" "ber" }, { .name = "ber" } };
    b.rows.jobs = umlauts;
    b.rows.count = 2;
    TRY_TEXT(names(&b, t, "name LIKE '_ber'"), umlauts[0].name);
    TRY_TEXT(names(&b, t, "name LIKE '%___r'"), umlauts[0].name);
    TRY_TEXT(names(&b, t, "name LIKE '%____r'"), "");
out:
    end(&b);
}

static void groups_are_counted(test *t)
{
    bench b;
    TRY(begin(&b, t));
    ANSWER("SELECT count(*), count(memory_bytes), sum(memory_bytes), avg(duration_ms),"
           " min(name), max(started_at), sum(exit_code) FROM jobs", SYKLI_FORMAT_csv,
           "count(*),count(memory_bytes),sum(memory_bytes),avg(duration_ms),min(name),"
           "max(started_at),sum(exit_code)\r\n4,3,545259520,65250,build,1709208002000,-1\r\n");
    ANSWER("SELECT status, count(*), avg(load) FROM jobs GROUP BY status", SYKLI_FORMAT_csv,
           "status,count(*),avg(load)\r\nfailed,1,99\r\npassed,2,6.25\r\nrunning,1,87.25\r\n");
    ANSWER("SELECT cached FROM jobs GROUP BY cached, status ORDER BY count(*) DESC, status LIMIT 2",
           SYKLI_FORMAT_csv, "cached\r\ntrue\r\nfalse\r\n");
    ANSWER("SELECT count(*), sum(load), avg(load), max(name) FROM jobs WHERE name = ''",
           SYKLI_FORMAT_csv, "count(*),sum(load),avg(load),max(name)\r\n0,,,\r\n");
    ANSWER("SELECT status, count(*) FROM jobs WHERE name = '' GROUP BY status",
           SYKLI_FORMAT_csv, "status,count(*)\r\n");
    ANSWER("SELECT max(memory_bytes), max(duration_ms) FROM jobs", SYKLI_FORMAT_table,
           "max(memory_bytes)  max(duration_ms)\n           300 MB            2m 14s\n");
out:
    end(&b);
}

static void sums_leave_their_range_as_doubles(test *t)
{
    static const job big[] = {
        { .name = "a", .memory_bytes = UINT64_MAX - 1, .exit_code = INT64_MAX,
          .load = 1.7e308 },
        { .name = "b", .memory_bytes = UINT64_MAX - 1, .exit_code = 1, .load = 1.7e308 },
    };
    bench b;
    TRY(begin(&b, t));
    b.rows.jobs = big;
    b.rows.count = 2;
    ANSWER("SELECT sum(memory_bytes), sum(exit_code) FROM jobs", SYKLI_FORMAT_csv,
           "sum(memory_bytes),sum(exit_code)\r\n3.6893488147419103e+19,9.223372036854776e+18\r\n");
    ANSWER("SELECT sum(load), avg(load) FROM jobs", SYKLI_FORMAT_csv,
           "sum(load),avg(load)\r\n1.7976931348623157e+308,8.988465674311579e+307\r\n");
out:
    end(&b);
}

typedef struct refusal { const char *query; int code; const char *message; } refusal;

static void what_is_refused_says_where(test *t)
{
    static const refusal rows[] = {
        { "", SYKLI_EPARSE, "1:1: expected SELECT or a table, found the end" },
        { "SELECT", SYKLI_EPARSE, "1:7: expected a column, found the end" },
        { "SELECT name jobs", SYKLI_EPARSE, "1:13: expected ',' or FROM, found 'jobs'" },
        { "SELECT name FROM", SYKLI_EPARSE, "1:17: expected a table, found the end" },
        { "SELECT name\nFROM jobs HAVING 1", SYKLI_EPARSE,
          "2:11: expected AND, OR, WHERE, GROUP BY, ORDER BY, LIMIT or the end, found 'having'" },
        { "jobs WHERE", SYKLI_EPARSE, "1:11: expected a column, NOT or '(', found the end" },
        { "jobs WHERE (cached", SYKLI_EPARSE, "1:19: expected ')', AND or OR, found the end" },
        { "jobs WHERE name =", SYKLI_EPARSE, "1:18: expected a value, found the end" },
        { "jobs WHERE name = )", SYKLI_EPARSE, "1:19: expected a value, found ')'" },
        { "jobs WHERE name = 'x", SYKLI_EPARSE, "1:19: the string has no end" },
        { "jobs WHERE name = NULL", SYKLI_EPARSE, "1:19: write IS NULL or IS NOT NULL" },
        { "jobs WHERE name IS 3", SYKLI_EPARSE, "1:20: expected NULL or NOT NULL, found '3'" },
        { "jobs WHERE name NOT = 'x'", SYKLI_EPARSE, "1:21: expected LIKE or IN, found '='" },
        { "jobs WHERE name IN ()", SYKLI_EPARSE, "1:21: expected a value, found ')'" },
        { "jobs WHERE name ~ 'x'", SYKLI_EPARSE, "1:17: unexpected character 0x7e" },
        { "jobs LIMIT x", SYKLI_EPARSE, "1:12: expected a number of rows, found 'x'" },
        { "SELECT mean(load) FROM jobs", SYKLI_EPARSE,
          "1:8: there is no function mean, only count, sum, avg, min, max" },
        { "SELECT sum(*) FROM jobs", SYKLI_EPARSE, "1:12: expected a column, found '*'" },
        { "SELECT name, count(*) FROM jobs", SYKLI_EPARSE,
          "1:8: name is neither in GROUP BY nor inside count, sum, avg, min or max" },
        { "SELECT count(*) FROM jobs GROUP BY status ORDER BY name", SYKLI_EPARSE,
          "1:52: name is neither in GROUP BY nor inside count, sum, avg, min or max" },
        { "SELECT * FROM jobs GROUP BY name", SYKLI_EPARSE,
          "1:15: SELECT * cannot be grouped" },
        { "SELECT status FROM jobs GROUP BY count(*), status", SYKLI_EPARSE,
          "1:34: GROUP BY wants a column" },
        { "SELECT name, name FROM jobs", SYKLI_EPARSE, "1:14: name is selected twice" },
        { "SELECT name FROM job", SYKLI_ENOENT,
          "1:18: there is no table job; did you mean jobs?" },
        { "SELECT nam FROM jobs", SYKLI_ENOENT,
          "1:8: table jobs has no column nam; did you mean name?" },
        { "jobs WHERE zebra = 1", SYKLI_ENOENT, "1:12: table jobs has no column zebra" },
        { "jobs ORDER BY token", SYKLI_ENOENT, "1:15: table jobs has no column token" },
        { "jobs WHERE name = lint", SYKLI_EPARSE,
          "1:19: lint is not a column; text stands in quotes" },
        { "jobs WHERE status = 'pased'", SYKLI_EPARSE,
          "1:21: status is never 'pased'; did you mean passed?" },
        { "jobs WHERE memory_bytes > 2m", SYKLI_EPARSE,
          "1:27: memory_bytes is compared with a size such as 200MB, not '2m'" },
        { "jobs WHERE duration_ms > 2MB", SYKLI_EPARSE,
          "1:26: duration_ms is compared with a duration such as 2m, not '2MB'" },
        { "jobs WHERE started_at > 'noon'", SYKLI_EPARSE,
          "1:25: started_at is compared with a time such as '2024-02-29T12:00:00Z', not 'noon'" },
        { "jobs WHERE load = 'high'", SYKLI_EPARSE,
          "1:19: load is compared with a number, not 'high'" },
        { "jobs WHERE cached = 2", SYKLI_EPARSE,
          "1:21: cached is compared with true or false, not '2'" },
        { "jobs WHERE load", SYKLI_EPARSE, "1:12: load is a number: compare it with something" },
        { "jobs WHERE load LIKE '9%'", SYKLI_EPARSE,
          "1:12: LIKE is for text and patterns of at most 256 bytes" },
        { "jobs WHERE load = name", SYKLI_EPARSE, "1:19: load is a number, name is text" },
        { "SELECT sum(name) FROM jobs", SYKLI_EPARSE, "1:12: name is text: it has no sum" },
        { "SELECT avg(cached) FROM jobs", SYKLI_EPARSE,
          "1:12: cached is true or false: it has no avg" },
        { "vault", SYKLI_EPERM, "1:1: table vault needs role operator" },
    };
    bench b;
    TRY(begin(&b, t));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = run(&b, t, rows[i].query, false);
        if (t->injected) break;
        CHECK_INT(rc, rows[i].code);
        CHECK_TEXT(t->fault.text, rows[i].message);
        CHECK_INT(t->fault.code, rows[i].code);
    }
out:
    end(&b);
}

static void a_role_sees_its_columns_only(test *t)
{
    bench b;
    TRY(begin(&b, t));
    b.role = SYKLI_ROLE_member;
    REFUSED("SELECT pid FROM jobs", SYKLI_EPERM);
    CHECK_TEXT(t->fault.text, "1:8: column pid of jobs needs role observer");
    REFUSED("jobs WHERE pid = 11", SYKLI_EPERM);
    REFUSED("SELECT count(*) FROM jobs ORDER BY max(pid)", SYKLI_EPERM);
    ANSWER("jobs WHERE name = 'test'", SYKLI_FORMAT_csv,
           "node,name,status,memory_bytes,duration_ms,exit_code,load,cached,started_at\r\n"
           "here,test,failed,209715200,61500,-1,99,false,1709208002000\r\n");
    b.role = SYKLI_ROLE_none;
    REFUSED("SELECT name FROM jobs", SYKLI_EPERM);
    b.role = SYKLI_ROLE_owner;
    REFUSED("SELECT token FROM jobs", SYKLI_ENOENT);
    TRY(render(&b, t, "SELECT count(*) FROM vault", SYKLI_FORMAT_csv));
out:
    end(&b);
}

static void queries_have_limits(test *t)
{
    static char text[SYKLI_QUERY_MAX + 2];
    bench b;
    TRY(begin(&b, t));
    memset(text, ' ', SYKLI_QUERY_MAX + 1);
    memcpy(text, "jobs", 4);
    TRY_INT(run(&b, t, text, false), SYKLI_ELIMIT);
    TRY_TEXT(t->fault.text, "1:1: a query has at most 4096 bytes");
    for (int depth = 31; depth <= 32; depth++) {
        memset(text, 0, sizeof text);
        snprintf(text, sizeof text, "jobs WHERE ");
        for (int i = 0; i < depth; i++) strcat(text, "(");
        strcat(text, "cached");
        for (int i = 0; i < depth; i++) strcat(text, ")");
        TRY_INT(run(&b, t, text, false), depth == 31 ? 0 : SYKLI_ELIMIT);
    }
    TRY_TEXT(t->fault.text, "1:44: a condition is nested at most 32 deep");
    snprintf(text, sizeof text, "jobs WHERE cached");
    for (int i = 0; i < 127; i++) strcat(text, " OR cached");
    TRY_INT(run(&b, t, text, false), 0);
    strcat(text, " AND cached");
    TRY_INT(run(&b, t, text, false), SYKLI_ELIMIT);
    TRY_TEXT(t->fault.text, "1:1299: a condition has at most 256 parts");
    snprintf(text, sizeof text, "jobs WHERE pid IN (0");
    for (int i = 1; i < 256; i++) strcat(text, ",0");
    TRY_INT(run(&b, t, text, false), SYKLI_EPARSE); // the ')' is missing
    strcat(text, ",0)");
    TRY_INT(run(&b, t, text, false), SYKLI_ELIMIT);
    TRY_INT(run(&b, t, "jobs ORDER BY pid,pid,pid,pid,pid,pid,pid,pid,pid", false),
              SYKLI_ELIMIT);
    TRY_TEXT(t->fault.text, "1:47: at most 8 columns here");
out:
    end(&b);
}

// The deepest condition with the most left sides that wait on the stack.
static void nesting_stays_within_the_stack(test *t)
{
    char text[2048] = "jobs WHERE ";
    bench b;
    TRY(begin(&b, t));
    for (int i = 0; i < 10; i++) strcat(text, "cached OR cached AND (");
    strcat(text, "cached");
    for (int i = 0; i < 10; i++) strcat(text, ")");
    TRY(run(&b, t, text, false));
out:
    end(&b);
}

static void a_scan_stops_when_it_may(test *t)
{
    bench b;
    TRY(begin(&b, t));
    TRY(run(&b, t, "SELECT name FROM jobs LIMIT 1", false));
    CHECK_INT(b.rows.emitted, 2);
    TRY(run(&b, t, "SELECT name FROM jobs LIMIT 0", false));
    CHECK_INT(b.rows.emitted, 1);
    TRY(run(&b, t, "SELECT name FROM jobs ORDER BY name LIMIT 0", false));
    CHECK_INT(b.rows.emitted, 1);
    TRY(run(&b, t, "SELECT name FROM jobs ORDER BY name LIMIT 1", false));
    CHECK_INT(b.rows.emitted, 4);
    b.rows.result = SYKLI_EIO;
    REFUSED("SELECT name FROM jobs", SYKLI_EIO);
    CHECK_TEXT(t->fault.text, "table jobs cannot be read: input or output failed");
out:
    end(&b);
}

enum { many_count = 6000 };

static job *many_jobs(void)
{
    job *jobs = (job *)calloc(many_count, sizeof *jobs);
    uint32_t random = 7;
    for (uint32_t i = 0; jobs && i < many_count; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t r = random >> 8;
        snprintf(jobs[i].name, sizeof jobs[i].name, "job%u", i);
        jobs[i].status = r % 3;
        jobs[i].memory_bytes = r % 7 ? (uint64_t)(r % 100003) << 10 : SYKLI_NULL_U64;
        jobs[i].duration_ms = i * 7919 % many_count; // each value once
        jobs[i].exit_code = (int64_t)(r % 5) - 2;
        jobs[i].load = r % 1000 / 8.0;
        jobs[i].cached = r >> 5 & 1;
        jobs[i].started_at = SYKLI_NULL_I64;
    }
    return jobs;
}

static void the_best_of_many_is_found(test *t)
{
    job *jobs = many_jobs();
    bench b;
    TRY(begin(&b, t));
    if (!jobs) goto out;
    b.rows.jobs = jobs;
    b.rows.count = many_count;
    ANSWER("SELECT duration_ms FROM jobs ORDER BY duration_ms DESC LIMIT 3", SYKLI_FORMAT_csv,
           "duration_ms\r\n5999\r\n5998\r\n5997\r\n");
    ANSWER("SELECT duration_ms FROM jobs ORDER BY duration_ms LIMIT 3", SYKLI_FORMAT_csv,
           "duration_ms\r\n0\r\n1\r\n2\r\n");
    ANSWER("SELECT count(*), sum(duration_ms), min(duration_ms), max(duration_ms) FROM jobs",
           SYKLI_FORMAT_csv, "count(*),sum(duration_ms),min(duration_ms),max(duration_ms)\r\n"
                             "6000,17997000,0,5999\r\n");
out:
    end(&b);
    free(jobs);
}

// Asks each node for its part and merges; the order of rows is given, so the text must be equal.
static int merged(bench *b, test *t, const char *query, size_t nodes)
{
    sykli_result *parts[8] = { NULL }, *all = NULL;
    int rc = 0;
    for (size_t i = 0; i < nodes && !rc; i++) {
        b->rows.only = i;
        rc = run(b, t, query, true);
        if (rc) break;
        parts[i] = sykli_result_decode(&t->mem, b->encoded.data, b->encoded.size, &t->fault);
        if (!parts[i]) rc = t->fault.code;
    }
    b->rows.only = nodes;
    if (!rc) {
        all = sykli_result_merge(&t->mem, query, parts, nodes, &t->fault);
        if (!all) rc = t->fault.code;
    }
    sykli_buf_reset(&b->out);
    if (!rc) rc = sykli_result_render(all, SYKLI_FORMAT_csv, &b->out);
    sykli_result_free(all);
    for (size_t i = 0; i < nodes; i++) sykli_result_free(parts[i]);
    return rc;
}

static const char *const node_names[] = { "a", "b", "c" };

static void nodes_answer_as_one(bench *b, test *t)
{
    static const char *const queries[] = {
        "SELECT * FROM jobs ORDER BY duration_ms",
        "SELECT * FROM jobs WHERE cached ORDER BY name DESC LIMIT 9",
        "SELECT name, node FROM jobs ORDER BY memory_bytes DESC, name LIMIT 40",
        "SELECT name FROM jobs WHERE node = 'b' ORDER BY exit_code, name LIMIT 5",
        "SELECT count(*), count(memory_bytes), sum(memory_bytes), avg(load), min(name), max(load)"
        " FROM jobs",
        "SELECT node, count(*) FROM jobs GROUP BY node",
        "SELECT status, cached, avg(memory_bytes), sum(exit_code) FROM jobs"
        " GROUP BY status, cached ORDER BY avg(memory_bytes) DESC LIMIT 4",
        "SELECT exit_code FROM jobs GROUP BY exit_code",
        "SELECT count(*), avg(load), sum(exit_code) FROM jobs WHERE name = 'none'",
        "SELECT name FROM jobs WHERE name = 'none'",
    };
    char *one = NULL;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        TRY(render(b, t, queries[i], SYKLI_FORMAT_csv));
        free(one);
        one = strdup((char *)b->out.data);
        TRY(merged(b, t, queries[i], 3));
        CHECK_TEXT((char *)b->out.data, one);
    }
out:
    free(one);
}

static void many_nodes_answer_as_one(test *t)
{
    job *jobs = many_jobs();
    bench b;
    TRY(begin(&b, t));
    b.rows = (pile){ jobs, jobs ? many_count : 0, node_names, 3, 3, 0, 0 };
    nodes_answer_as_one(&b, t);
out:
    end(&b);
    free(jobs);
}

static void few_nodes_answer_as_one(test *t)
{
    bench b;
    TRY(begin(&b, t));
    b.rows = (pile){ some_jobs, 4, node_names, 3, 3, 0, 0 };
    nodes_answer_as_one(&b, t);
out:
    end(&b);
}

static void a_part_of_another_version_fits(test *t)
{
    static const uint8_t other[] = "SQR\1\2\0\4name\1\3new\1\4\3old\1\5";
    bench b;
    sykli_result *parts[2] = { NULL, NULL }, *all = NULL;
    TRY(begin(&b, t));
    TRY(run(&b, t, "SELECT name, pid FROM jobs LIMIT 1", true));
    parts[0] = sykli_result_decode(&t->mem, b.encoded.data, b.encoded.size, &t->fault);
    TRY_NOT_NULL(parts[0]);
    parts[1] = sykli_result_decode(&t->mem, other, sizeof other - 1, &t->fault);
    TRY_NOT_NULL(parts[1]);
    all = sykli_result_merge(&t->mem, "jobs ORDER BY name DESC", parts, 2, &t->fault);
    TRY_NOT_NULL(all);
    TRY(sykli_result_render(all, SYKLI_FORMAT_csv, &b.out));
    CHECK_TEXT((char *)b.out.data, "name,pid,new\r\nold,,5\r\nbuild,11,\r\n");
    CHECK_INT(sykli_result_columns(all), 3);
    CHECK_TEXT(sykli_result_column(all, 1), "pid");
    CHECK_TEXT(sykli_result_column(all, 3), "");
    CHECK_INT(sykli_result_cell(all, 0, 1).kind, SYKLI_KIND_NULL);
    CHECK_INT(sykli_result_cell(all, 0, 2).unit, SYKLI_UNIT_bytes);
    CHECK_INT(sykli_result_cell(all, 2, 0).kind, SYKLI_KIND_NULL);
out:
    for (int i = 0; i < 2; i++) sykli_result_free(parts[i]);
    sykli_result_free(all);
    end(&b);
}

// Every cut and every changed byte is read or refused; what is read can be merged and shown.
// step  of the values that each byte is given in turn; 256 is where the result is cut off
static void damaged_results(test *t, int step)
{
    static const char query[] = "SELECT status, count(*), avg(load), min(name) FROM jobs"
                                " GROUP BY status ORDER BY avg(load)";
    bench b;
    TRY(begin(&b, t));
    TRY(run(&b, t, query, true));
    for (size_t i = 0; i < b.encoded.size; i++)
        for (int c = 0; c <= 256; c += step) {
            size_t size = c == 256 ? i : b.encoded.size;
            uint8_t *copy = (uint8_t *)malloc(size + 1); // exact, so that ASan sees its end
            if (!copy) goto out;
            memcpy(copy + 1, b.encoded.data, size);
            if (c < 256) copy[1 + i] = (uint8_t)c;
            sykli_result *r = sykli_result_decode(&t->mem, copy + 1, size, &t->fault);
            free(copy);
            if (!r) TRY_INT(t->fault.code, SYKLI_ECORRUPT);
            if (c == 256) CHECK(!r);
            if (!r) continue;
            sykli_result *all = sykli_result_merge(&t->mem, query, &r, 1, &t->fault);
            CHECK(all || t->injected);
            for (int format = 0; all && format <= SYKLI_FORMAT_csv; format++) {
                sykli_buf_reset(&b.out);
                if (sykli_result_render(all, (sykli_format)format, &b.out)) CHECK(t->injected);
            }
            sykli_result_free(all);
            sykli_result_free(r);
            if (t->injected) goto out;
        }
out:
    end(&b);
}

static void damaged_results_are_harmless(test *t) { damaged_results(t, 1); }

static void damaged_results_survive_failures(test *t) { damaged_results(t, 64); }

static void a_result_that_lies_is_refused(test *t)
{
    static const struct { const char *bytes; size_t size; const char *message; } rows[] = {
        { "", 0, "these 0 bytes are not a result of this version" },
        { "SQR\2\0", 5, "these 5 bytes are not a result of this version" },
        { "SQR\1\0\0", 6, "a damaged result, at byte 5 of 6" },
        { "SQR\1\1\0\1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 18,
          "a damaged result, at byte 18 of 18" },
        { "SQR\1\1\0\1a\1\4\xff\xff\xff\xff\x0f", 15, "a damaged result, at byte 15 of 15" },
        { "SQR\1\1\0\1a\1\4\2x\0", 13, "a damaged result, at byte 11 of 13" },
        { "SQR\1\1\0\1a\0\0", 10, "a damaged result, at byte 9 of 10" },
        { "SQR\1\2\0\1a\0\1a\0", 12, "a damaged result, at byte 11 of 12" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(!sykli_result_decode(&t->mem, rows[i].bytes, rows[i].size, &t->fault));
        if (t->injected) return;
        CHECK_INT(t->fault.code, SYKLI_ECORRUPT);
        CHECK_TEXT(t->fault.text, rows[i].message);
    }
}

static void values_keep_their_range_on_the_wire(test *t)
{
    static const job edges[] = {
        { .name = "max", .memory_bytes = UINT64_MAX - 1, .exit_code = INT64_MAX, .load = -0.1 },
        { .name = "min", .memory_bytes = 0, .exit_code = INT64_MIN + 1, .load = 1e308 },
    };
    bench b;
    TRY(begin(&b, t));
    b.rows.jobs = edges;
    b.rows.count = 2;
    ANSWER("SELECT memory_bytes, exit_code, load, cached FROM jobs", SYKLI_FORMAT_csv,
           "memory_bytes,exit_code,load,cached\r\n"
           "18446744073709551614,9223372036854775807,-0.1,false\r\n"
           "0,-9223372036854775807,1e+308,false\r\n");
    ANSWER("SELECT memory_bytes, load FROM jobs", SYKLI_FORMAT_table,
           "memory_bytes     load\n       16 EB   -0.10%\n         0 B  1e+308%\n");
out:
    end(&b);
}

static void output_cannot_drive_a_terminal(test *t)
{
    static const job rude[] = { { .name = "\x1b[2J\xc2\x9b" "a\nb\t\x7f\xff" },
                                { .name = "say \"hi\",\r\n" }, { .name = "gr\xc3\xbc\xc3\x9f" } };
    bench b;
    TRY(begin(&b, t));
    b.rows.jobs = rude;
    b.rows.count = 3;
    ANSWER("SELECT name, cached FROM jobs", SYKLI_FORMAT_table,
           "name                       cached\n"
           "\\x1b[2J\\x9ba\\nb\\t\\x7f\\xff  false\n"
           "say \"hi\",\\r\\n              false\n"
           "gr\xc3\xbc\xc3\x9f                       false\n");
    ANSWER("SELECT name FROM jobs", SYKLI_FORMAT_csv,
           "name\r\n\"\\x1b[2J\\x9ba\nb\t\\x7f\\xff\"\r\n\"say \"\"hi\"\",\r\n\"\r\n"
           "gr\xc3\xbc\xc3\x9f\r\n");
    ANSWER("SELECT name FROM jobs LIMIT 1", SYKLI_FORMAT_json,
           "{\"items\":[{\"name\":\"\\u001b[2J\\u009ba\\nb\\t\\u007f\xef\xbf\xbd\"}],"
           "\"columns\":[{\"name\":\"name\",\"unit\":\"none\"}]}");
out:
    end(&b);
}

int main(int argc, char **argv)
{
    TEST_STORY(a_table_is_shown_to_people);
    TEST_STORY(a_table_is_written_for_programs);
    TEST_STORY(conditions_select_rows);
    TEST_STORY(groups_are_counted);
    TEST_STORY(sums_leave_their_range_as_doubles);
    TEST_STORY(what_is_refused_says_where);
    TEST_STORY(a_role_sees_its_columns_only);
    TEST_STORY(queries_have_limits);
    TEST_STORY(nesting_stays_within_the_stack);
    TEST_STORY(a_scan_stops_when_it_may);
    TEST_STORY(the_best_of_many_is_found);
    TEST_SOME(5, many_nodes_answer_as_one);
    TEST_STORY(few_nodes_answer_as_one);
    TEST_STORY(a_part_of_another_version_fits);
    TEST_ONCE(damaged_results_are_harmless);
    TEST_SOME(3, damaged_results_survive_failures);
    TEST_STORY(a_result_that_lies_is_refused);
    TEST_STORY(values_keep_their_range_on_the_wire);
    TEST_STORY(output_cannot_drive_a_terminal);
    return test_end(argc, argv);
}
