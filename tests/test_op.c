// The registry of ops: what may be registered, who may call, with which arguments.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static const uint64_t seed[2] = { 1, 2 };

static int nothing(sykli_call *call)
{
    (void)call;
    return 0;
}

static const sykli_param scale_params[] = {
    { "count", SYKLI_KIND_U64, true, "workers" },
    { "node", SYKLI_KIND_TEXT, false, "where" },
    { "offset", SYKLI_KIND_I64, false, "" },
    { "factor", SYKLI_KIND_F64, false, "" },
    { "now", SYKLI_KIND_BOOL, false, "" },
};
static const sykli_op scale = { 7, "workers.scale", "changes the number of workers",
                                SYKLI_ROLE_operator, false, scale_params, 5, nothing, NULL };
static const sykli_op trace = { 8, "trace.start", "prints calls", SYKLI_ROLE_operator, true, NULL,
                                0, nothing, NULL };

// Checks a call of `op` with JSON arguments; what the fault says is in t->fault.
static int check(test *t, const sykli_op *op, const char *json, sykli_role role, bool consent)
{
    sykli_json_doc doc = { 0 };
    t->fault.text[0] = 0;
    int rc = sykli_json_parse(&doc, &t->mem, json, strlen(json), &t->fault);
    if (!rc) rc = sykli__op_check(op, &doc, role, consent, &t->fault);
    sykli_json_free(&doc);
    return rc;
}

#define REFUSED(op, json, role, code, message)                                                     \
    do { int rc_ = check(t, op, json, role, false);                                                \
         if (t->injected) goto out;                                                                \
         CHECK_INT(rc_, code); CHECK_TEXT(t->fault.text, message); } while (0)

static void ops_are_found_by_name_and_id(test *t)
{
    sykli__op_registry reg;
    sykli__op_init(&reg, &t->mem, seed);
    TRY(sykli__op_add(&reg, &scale, &t->fault));
    const sykli_op *first = sykli__op_find(&reg, "workers.scale");
    TRY_NOT_NULL(first);
    TRY(sykli__op_add(&reg, &trace, &t->fault));
    for (uint32_t i = 0; i < 20; i++) {
        char name[16] = "own.op_a";
        name[7] = (char)('a' + i);
        sykli_op own = { SYKLI_OP_OWN + i, name, "", SYKLI_ROLE_member, false, NULL, 0, nothing,
                         NULL };
        TRY(sykli__op_add(&reg, &own, &t->fault));
    }
    CHECK(sykli__op_find(&reg, "workers.scale") == first); // pointers stay while ops are added
    CHECK_INT(sykli__op_find(&reg, "trace.start")->id, 8);
    CHECK_TEXT(sykli__op_find_id(&reg, 7)->name, "workers.scale");
    CHECK(!sykli__op_find(&reg, "workers.scal") && !sykli__op_find_id(&reg, 9));
    CHECK_INT(reg.count, 22);
out:
    sykli__op_free(&reg);
}

static void a_bad_op_is_refused(test *t)
{
    sykli__op_registry reg;
    sykli__op_init(&reg, &t->mem, seed);
    static const char *const names[] = { "", "scale", "Workers.scale", "workers..scale", ".scale",
                                         "workers.", "a.b c", "workers.scale2" };
    sykli_op op = scale;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        op.name = names[i];
        CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    }
    op.name = "a\x1b.b";
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "op name \"a?.b\": a name is noun.verb of [a-z_], at most 64 bytes");
    op.name = NULL;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    op = scale;
    op.id = 0;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    op = scale;
    op.handler = NULL;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    op = scale;
    op.param_count = 33;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_ELIMIT);
    sykli_param ref = { "x", SYKLI_KIND_REF, false, "" };
    op = scale;
    op.params = &ref;
    op.param_count = 1;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "op workers.scale: parameter x must be BOOL, I64, U64, F64 or TEXT");
    CHECK_INT(reg.count, 0);
    TRY(sykli__op_add(&reg, &scale, &t->fault));
    CHECK_INT(sykli__op_add(&reg, &scale, &t->fault), SYKLI_EEXIST);
    CHECK_TEXT(t->fault.text, "op workers.scale is already there");
    op = trace;
    op.id = scale.id;
    CHECK_INT(sykli__op_add(&reg, &op, &t->fault), SYKLI_EEXIST);
    CHECK_TEXT(t->fault.text, "op trace.start: id 7 belongs to workers.scale");
out:
    sykli__op_free(&reg);
}

static void there_are_at_most_256_ops(test *t)
{
    sykli__op_registry reg;
    char name[] = "own.aa";
    sykli__op_init(&reg, &t->mem, seed);
    int rc = 0;
    for (uint32_t i = 0; i <= SYKLI__OP_MAX && !rc; i++) {
        name[4] = (char)('a' + i % 26);
        name[5] = (char)('a' + i / 26);
        sykli_op own = { 1 + i, name, "", SYKLI_ROLE_member, false, NULL, 0, nothing, NULL };
        rc = sykli__op_add(&reg, &own, &t->fault);
    }
    TRY_INT(rc, SYKLI_ELIMIT);
    TRY_INT(reg.count, SYKLI__OP_MAX);
out:
    sykli__op_free(&reg);
}

static void the_role_is_judged_before_anything_else(test *t)
{
    REFUSED(&scale, "{\"nonsense\":1}", SYKLI_ROLE_observer, SYKLI_EPERM,
            "op workers.scale needs the role operator, the caller has observer");
    REFUSED(&scale, "{}", (sykli_role)99, SYKLI_EPERM,
            "op workers.scale needs the role operator, the caller has none");
    REFUSED(&scale, "{}", SYKLI_ROLE_none, SYKLI_EPERM,
            "op workers.scale needs the role operator, the caller has none");
    REFUSED(&trace, "{}", SYKLI_ROLE_admin, SYKLI_ECONSENT,
            "op trace.start needs the consent of this machine's owner");
    TRY(check(t, &trace, "{}", SYKLI_ROLE_operator, true));
    TRY(check(t, &trace, "{}", SYKLI_ROLE_owner, false));
    CHECK_INT(check(t, &trace, "{}", SYKLI_ROLE_observer, true), t->injected ? SYKLI_ENOMEM
                                                                              : SYKLI_EPERM);
out:;
}

static void an_op_without_a_role_is_the_owners(test *t)
{
    sykli__op_registry reg;
    sykli__op_init(&reg, &t->mem, seed);
    sykli_op op = trace;
    op.role = SYKLI_ROLE_none;
    op.consent = false;
    TRY(sykli__op_add(&reg, &op, &t->fault));
    REFUSED(sykli__op_find(&reg, "trace.start"), "{}", SYKLI_ROLE_admin, SYKLI_EPERM,
            "op trace.start needs the role owner, the caller has admin");
out:
    sykli__op_free(&reg);
}

static void arguments_are_checked_by_name_and_kind(test *t)
{
    sykli_role role = SYKLI_ROLE_operator;
    TRY(check(t, &scale, "{\"count\":4}", role, false));
    TRY(check(t, &scale, "{\"count\":4,\"node\":\"n\",\"offset\":-3,\"factor\":1.5,\"now\":true}",
              role, false));
    TRY(check(t, &scale, "{\"count\":4,\"node\":null}", role, false));
    REFUSED(&scale, "{\"coumt\":4}", role, SYKLI_EINVAL,
            "op workers.scale: there is no argument \"coumt\", did you mean count?");
    REFUSED(&scale, "{\"count\":4,\"zzzzzz\\u001b\":4}", role, SYKLI_EINVAL,
            "op workers.scale: there is no argument \"zzzzzz?\", it takes count:u64 node:text? "
            "offset:i64? factor:f64? now:bool?");
    REFUSED(&trace, "{\"zzzzzz\":4}", SYKLI_ROLE_owner, SYKLI_EINVAL,
            "op trace.start: there is no argument \"zzzzzz\", it takes none");
    REFUSED(&scale, "{\"count\":null}", role, SYKLI_EINVAL,
            "op workers.scale: argument count is missing, it must be a whole number of at least 0");
    REFUSED(&scale, "{\"count\":-1}", role, SYKLI_EINVAL,
            "op workers.scale: argument count must be a whole number of at least 0, not -1");
    REFUSED(&scale, "{\"count\":\"4\"}", role, SYKLI_EINVAL,
            "op workers.scale: argument count must be a whole number of at least 0, not \"4\"");
    REFUSED(&scale, "{\"count\":1.5}", role, SYKLI_EINVAL,
            "op workers.scale: argument count must be a whole number of at least 0, not 1.5");
    REFUSED(&scale, "{\"count\":1,\"node\":[1]}", role, SYKLI_EINVAL,
            "op workers.scale: argument node must be text, not a list");
    REFUSED(&scale, "{\"count\":1,\"now\":{}}", role, SYKLI_EINVAL,
            "op workers.scale: argument now must be true or false, not an object");
    REFUSED(&scale, "{\"count\":1,\"factor\":false}", role, SYKLI_EINVAL,
            "op workers.scale: argument factor must be a number, not false");
    REFUSED(&scale, "[1]", role, SYKLI_EINVAL,
            "op workers.scale: the arguments must be one JSON object");
    CHECK_INT(sykli__op_check(&trace, NULL, SYKLI_ROLE_owner, false, &t->fault), 0);
    CHECK_INT(sykli__op_check(&scale, NULL, SYKLI_ROLE_owner, false, &t->fault), SYKLI_EINVAL);
out:;
}

typedef struct seen { sykli_emit emit; int rows, stop_at; char text[512]; } seen;
static int see(sykli_emit *to, const void *row)
{
    seen *s = (seen *)to;
    const sykli__op_row *r = (const sykli__op_row *)row;
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%d %s %s %d [%s]\n", (int)r->id, r->name,
             sykli_role_names[r->role], (int)r->consent, r->params);
    return ++s->rows == s->stop_at ? 5 : 0;
}

static void ops_are_rows(test *t)
{
    sykli__op_registry reg;
    seen all = { { see, NULL, 0, NULL }, 0, 0, "" }, one = { { see, NULL, 0, NULL }, 0, 1, "" };
    sykli__op_init(&reg, &t->mem, seed);
    TRY(sykli__op_add(&reg, &scale, &t->fault));
    TRY(sykli__op_add(&reg, &trace, &t->fault));
    CHECK_INT(sykli__op_scan(&reg, &all.emit), 0);
    CHECK_TEXT(all.text, "7 workers.scale operator 0 [count:u64 node:text? offset:i64? factor:f64? "
                         "now:bool?]\n8 trace.start operator 1 []\n");
    CHECK_INT(sykli__op_scan(&reg, &one.emit), 5);
    CHECK_INT(one.rows, 1);
    CHECK_INT(sizeof sykli__op_row_columns / sizeof *sykli__op_row_columns, 6);
    CHECK_TEXT(sykli__op_row_columns[2].names[SYKLI_ROLE_admin], "admin");
out:
    sykli__op_free(&reg);
}

int main(int argc, char **argv)
{
    TEST_STORY(ops_are_found_by_name_and_id);
    TEST_STORY(a_bad_op_is_refused);
    TEST_STORY(there_are_at_most_256_ops);
    TEST_STORY(the_role_is_judged_before_anything_else);
    TEST_STORY(an_op_without_a_role_is_the_owners);
    TEST_STORY(arguments_are_checked_by_name_and_kind);
    TEST_STORY(ops_are_rows);
    return test_end(argc, argv);
}
