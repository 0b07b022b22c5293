// Stories of >>table: registering, values of rows, rows that somebody scribbled on.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static const char *const colours[] = { "red", "green", NULL };

#define LAMP_COLUMNS(X, T)                                                                         \
    X(T, STR, room, 8, none, public, "where it hangs")                                             \
    X(T, U64, power, 0, none, observer, "watts")                                                   \
    X(T, I64, offset_ms, 0, ms, public, "since the last switch")                                   \
    X(T, F64, level, 0, percent, public, "how bright")                                             \
    X(T, TEXT, note, 0, none, public, "what is said of it")                                        \
    X(T, REF, story, 0, none, public, "the same at length")                                        \
    X(T, ENUM, colour, colours, none, public, "its light")                                         \
    X(T, BOOL, lit, 0, none, secret, "whether it burns")
SYKLI_ROW(lamp, LAMP_COLUMNS)
SYKLI_COLUMNS(lamp, LAMP_COLUMNS)
enum { room, power, offset_ms, level, note, story, colour, lit, lamp_column_count };

static int no_rows(void *user, sykli_emit *to) { return (void)user, (void)to, 0; }

static const sykli_table lamps = { "lamps", "things that shine", lamp_columns, lamp_column_count,
                                   sizeof(lamp), (sykli_visibility)0, no_rows, NULL };

static sykli_value value(const lamp *row, int column, const char *heap, size_t heap_size)
{
    sykli_emit from = { NULL, heap, heap_size, NULL };
    return sykli__table_value(&lamp_columns[column], row, &from);
}

static bool is_text(sykli_value v, const char *text)
{
    return v.kind == SYKLI_KIND_TEXT && v.text_size == strlen(text)
        && !memcmp(v.text, text, v.text_size);
}

static void the_macro_describes_the_struct(test *t)
{
    CHECK_INT(sizeof lamp_columns / sizeof *lamp_columns, lamp_column_count);
    CHECK_TEXT(lamp_columns[power].name, "power");
    CHECK_TEXT(lamp_columns[power].help, "watts");
    CHECK_INT(lamp_columns[power].offset, offsetof(lamp, power));
    CHECK_INT(lamp_columns[offset_ms].unit, SYKLI_UNIT_ms);
    CHECK_INT(lamp_columns[room].size, 8);
    CHECK(lamp_columns[colour].names == colours);
}

static void values_come_out_as_they_went_in(test *t)
{
    lamp row = { "kitchen", 60, -5, 0.5, "old", 3ull << 24 | 4, 1, 7 };
    static const char heap[] = "...long";
    CHECK(is_text(value(&row, room, NULL, 0), "kitchen"));
    CHECK(value(&row, power, NULL, 0).u64 == 60);
    CHECK(value(&row, offset_ms, NULL, 0).i64 == -5);
    CHECK_INT(value(&row, offset_ms, NULL, 0).unit, SYKLI_UNIT_ms);
    CHECK(value(&row, level, NULL, 0).f64 == 0.5);
    CHECK(is_text(value(&row, note, NULL, 0), "old"));
    CHECK(is_text(value(&row, story, heap, 7), "long"));
    CHECK(is_text(value(&row, colour, NULL, 0), "green"));
    CHECK(value(&row, lit, NULL, 0).kind == SYKLI_KIND_BOOL && value(&row, lit, NULL, 0).u64 == 1);
}

static void nothing_is_null(test *t)
{
    lamp row = { "", SYKLI_NULL_U64, SYKLI_NULL_I64, 0, NULL, 0, SYKLI_NULL_ENUM, UINT32_MAX };
    uint64_t nan = 0x7ff8000000000000, infinite = 0x7ff0000000000000;
    memcpy(&row.level, &nan, sizeof row.level);
    for (int i = 0; i < lamp_column_count; i++)
        CHECK_INT(value(&row, i, "heap", 4).kind, SYKLI_KIND_NULL);
    memcpy(&row.level, &infinite, sizeof row.level);
    CHECK_INT(value(&row, level, NULL, 0).kind, SYKLI_KIND_NULL);
    row.note = "";
    CHECK(is_text(value(&row, note, NULL, 0), ""));
}

static void a_scribbled_row_leads_nowhere(test *t)
{
    char *heap = (char *)malloc(16); // so that ASan sees a read outside it
    if (!heap) return;
    memset(heap, 'h', 16);
    lamp row;
    memset(&row, 0x61, sizeof row);
    CHECK_INT(value(&row, room, heap, 16).text_size, 8); // no NUL within the column
    CHECK_INT(value(&row, note, heap, 16).kind, SYKLI_KIND_NULL);
    CHECK_INT(value(&row, story, heap, 16).kind, SYKLI_KIND_NULL);
    CHECK_INT(value(&row, colour, heap, 16).kind, SYKLI_KIND_NULL);
    static const uint64_t refs[] = { 16ull << 24 | 1, 15ull << 24 | 2, 0xffffff, UINT64_MAX,
                                     17ull << 24, UINT64_MAX << 24 | 1 };
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        row.story = refs[i];
        CHECK_INT(value(&row, story, heap, 16).kind, SYKLI_KIND_NULL);
    }
    row.story = 15ull << 24 | 1;
    CHECK(is_text(value(&row, story, heap, 16), "h"));
    free(heap);
}

static void a_table_is_found_by_name(test *t)
{
    static const uint64_t seed[2] = { 1, 2 };
    sykli__table_registry r;
    sykli__table_init(&r, &t->mem, seed);
    TRY(sykli__table_add(&r, &lamps, &t->fault));
    const sykli_table *found = sykli__table_find(&r, "lamps");
    CHECK(found && found->scan == no_rows && found->visibility == SYKLI_VISIBLE_public);
    CHECK(!sykli__table_find(&r, "lamp"));
    CHECK_INT(r.count, 1);
    CHECK_INT(sykli__table_add(&r, &lamps, &t->fault), SYKLI_EEXIST);
    CHECK_TEXT(t->fault.text, "there is a table lamps already");
out:
    sykli__table_free(&r);
}

static void what_is_wrong_is_named(test *t)
{
    sykli__table_registry r;
    sykli__table_init(&r, &t->mem, NULL);
    static const struct { sykli_column column; const char *message; } rows[] = {
        { { "Room", SYKLI_KIND_U64, 0, 1, 0, 8, NULL, "" },
          "table lamps: column 0: a name is 1 to 63 of [a-z0-9_], not \"Room\"" },
        { { NULL, SYKLI_KIND_U64, 0, 1, 0, 8, NULL, "" },
          "table lamps: column 0: a name is 1 to 63 of [a-z0-9_], not \"\"" },
        { { "power", SYKLI_KIND_NULL, 0, 1, 0, 8, NULL, "" },
          "table lamps: column power has an unknown kind" },
        { { "power", 99, 0, 1, 0, 8, NULL, "" }, "table lamps: column power has an unknown kind" },
        { { "power", SYKLI_KIND_U64, 0, 1, 0, 4, NULL, "" },
          "table lamps: column power has a size that is not that of its kind" },
        { { "power", SYKLI_KIND_STR, 0, 1, 0, 0, NULL, "" },
          "table lamps: column power has a size that is not that of its kind" },
        { { "power", SYKLI_KIND_U64, 0, 1, 12, 8, NULL, "" },
          "table lamps: column power lies outside the row" },
        { { "power", SYKLI_KIND_ENUM, 0, 1, 0, 4, NULL, "" },
          "table lamps: column power is an ENUM without names" },
        { { "power", SYKLI_KIND_U64, 77, 1, 0, 8, NULL, "" },
          "table lamps: column power has an unknown unit" },
        { { "power", SYKLI_KIND_U64, 0, 9, 0, 8, NULL, "" },
          "table lamps: column power has an unknown visibility" },
        { { "node", SYKLI_KIND_U64, 0, 1, 0, 8, NULL, "" },
          "table lamps: column node is there already: every table has it" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sykli_table table = { "lamps", "", &rows[i].column, 1, 16, SYKLI_VISIBLE_public, no_rows,
                              NULL };
        CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_EINVAL);
        CHECK_TEXT(t->fault.text, rows[i].message);
    }
    sykli_column twice[2] = { { "a", SYKLI_KIND_U64, 0, 1, 0, 8, NULL, "" },
                              { "a", SYKLI_KIND_U64, 0, 1, 8, 8, NULL, "" } };
    sykli_table table = { "lamps", "", twice, 2, 16, SYKLI_VISIBLE_public, no_rows, NULL };
    CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "table lamps: column a is there twice");
    table.column_count = 65;
    CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_ELIMIT);
    CHECK_TEXT(t->fault.text, "table lamps has 65 columns, at most 64 are allowed");
    table.scan = NULL;
    CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_EINVAL);
    table.name = "la mps";
    CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "a table's name is 1 to 63 of [a-z0-9_], not \"la mps\"");
    CHECK_INT(r.count, 0);
    sykli__table_free(&r);
}

static void tables_have_a_limit(test *t)
{
    static char names[SYKLI__TABLE_TABLES_MAX + 1][16];
    sykli__table_registry r;
    sykli__table_init(&r, &t->mem, NULL);
    for (int i = 0; i <= SYKLI__TABLE_TABLES_MAX; i++) {
        sykli_table table = lamps;
        snprintf(names[i], sizeof names[i], "t%d", i);
        table.name = names[i];
        if (i < SYKLI__TABLE_TABLES_MAX) TRY(sykli__table_add(&r, &table, &t->fault));
        else CHECK_INT(sykli__table_add(&r, &table, &t->fault), SYKLI_ELIMIT);
    }
    CHECK_TEXT(sykli__table_find(&r, "t77")->name, "t77");
out:
    sykli__table_free(&r);
}

static void roles_see_what_they_may(test *t)
{
    CHECK(sykli__table_sees(SYKLI_ROLE_member, SYKLI_VISIBLE_public));
    CHECK(!sykli__table_sees(SYKLI_ROLE_none, SYKLI_VISIBLE_public));
    CHECK(!sykli__table_sees(SYKLI_ROLE_member, SYKLI_VISIBLE_observer));
    CHECK(sykli__table_sees(SYKLI_ROLE_admin, SYKLI_VISIBLE_operator));
    CHECK(!sykli__table_sees(SYKLI_ROLE_admin, SYKLI_VISIBLE_local));
    CHECK(!sykli__table_sees(SYKLI_ROLE_owner, SYKLI_VISIBLE_secret));
}

int main(int argc, char **argv)
{
    TEST_STORY(the_macro_describes_the_struct);
    TEST_STORY(values_come_out_as_they_went_in);
    TEST_STORY(nothing_is_null);
    TEST_STORY(a_scribbled_row_leads_nowhere);
    TEST_STORY(a_table_is_found_by_name);
    TEST_STORY(what_is_wrong_is_named);
    TEST_STORY(tables_have_a_limit);
    TEST_STORY(roles_see_what_they_may);
    return test_end(argc, argv);
}
