// Stories of >>json: what is read, what is refused and where, numbers, the writer.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static int parse(test *t, sykli_json_doc *doc, const char *text)
{
    return sykli_json_parse(doc, &t->mem, text, strlen(text), &t->fault);
}

static void a_document_is_an_array_of_nodes(test *t)
{
    static const char text[] = "{\"name\": \"b\\u00fcild \\ud83d\\ude00\\n\", \"after\": "
                               "[1, -2.5e1],\n"
                               "  \"none\": null, \"deep\": {\"yes\": true}, \"no\": false}";
    sykli_json_doc doc;
    TRY(parse(t, &doc, text));
    CHECK_INT(doc.nodes[0].type, SYKLI_JSON_object);
    CHECK_INT(doc.nodes[0].count, 5);
    CHECK_INT(doc.nodes[0].next, doc.count);
    CHECK_TEXT(sykli_json_text(&doc, sykli_json_get(&doc, 0, "name")),
               "b\xc3\xbcild \xf0\x9f\x98\x80\n");
    CHECK(!sykli_json_get(&doc, 0, "none"));
    CHECK(!sykli_json_get(&doc, 0, "nam"));
    uint32_t after = sykli_json_get(&doc, 0, "after"), first = sykli_json_first(&doc, after);
    uint64_t u = 0;
    double f = 0;
    CHECK(sykli_json_u64(&doc, first, &u) && u == 1);
    CHECK(!sykli_json_key(&doc, first));
    uint32_t second = sykli_json_next(&doc, after, first);
    CHECK(!sykli_json_u64(&doc, second, &u));
    CHECK(sykli_json_f64(&doc, second, &f) && f == -25.0);
    CHECK_INT(sykli_json_next(&doc, after, second), 0);
    uint32_t deep = sykli_json_get(&doc, 0, "deep");
    CHECK_TEXT(sykli_json_key(&doc, deep), "deep");
    CHECK_INT(doc.nodes[deep].line, 2);
    CHECK_INT(doc.nodes[deep].column, 25);
    CHECK(sykli_json_bool(&doc, sykli_json_get(&doc, deep, "yes"), false));
    CHECK(!sykli_json_bool(&doc, sykli_json_get(&doc, 0, "no"), true));
    CHECK(sykli_json_bool(&doc, sykli_json_get(&doc, deep, "other"), true));
out:
    sykli_json_free(&doc);
}

static void empty_containers_have_no_children(test *t)
{
    sykli_json_doc doc;
    TRY(parse(t, &doc, " [ {} , [ ] , \"\" ] "));
    uint32_t at = sykli_json_first(&doc, 0);
    CHECK_INT(sykli_json_first(&doc, at), 0);
    at = sykli_json_next(&doc, 0, at);
    CHECK_INT(sykli_json_first(&doc, at), 0);
    at = sykli_json_next(&doc, 0, at);
    CHECK_TEXT(sykli_json_text(&doc, at), "");
    CHECK_INT(sykli_json_next(&doc, 0, at), 0);
    CHECK(!sykli_json_text(&doc, 99) && !sykli_json_first(&doc, 99));
out:
    sykli_json_free(&doc);
}

static void any_value_may_be_the_root(test *t)
{
    sykli_json_doc doc;
    uint64_t u = 0;
    TRY(parse(t, &doc, "42"));
    CHECK(sykli_json_u64(&doc, 0, &u) && u == 42);
    sykli_json_free(&doc);
    TRY(parse(t, &doc, "\"alone\""));
    CHECK_TEXT(sykli_json_text(&doc, 0), "alone");
out:
    sykli_json_free(&doc);
}

typedef struct refusal { const char *text; int code; const char *message; } refusal;

static void what_is_refused_says_where(test *t)
{
    static const refusal rows[] = {
        { "", SYKLI_EPARSE, "1:1: expected a value, found the end" },
        { "{\"a\": 1,\n \"b\" 2}", SYKLI_EPARSE, "2:6: expected ':' after the key, found '2'" },
        { "[1 2]", SYKLI_EPARSE, "1:4: expected ',' or ']', found '2'" },
        { "[1,]", SYKLI_EPARSE, "1:4: expected a value, found ']'" },
        { "{\"a\":1,}", SYKLI_EPARSE, "1:8: expected a key in quotes, found '}'" },
        { "{a:1}", SYKLI_EPARSE, "1:2: expected a key in quotes, found 'a'" },
        { "[1", SYKLI_EPARSE, "1:3: expected ',' or ']', found the end" },
        { "1 2", SYKLI_EPARSE, "1:3: expected the end of the document, found '2'" },
        { "\xef\xbb\xbf{}", SYKLI_EPARSE, "1:1: expected a value, found byte 0xef" },
        { "nul", SYKLI_EPARSE, "1:1: expected a value, found 'n'" },
        { "nulls", SYKLI_EPARSE, "1:5: expected the end of the document, found 's'" },
        { "[01]", SYKLI_EPARSE, "1:2: a number with leading zeros" },
        { "[1.]", SYKLI_EPARSE, "1:4: expected a digit after '.', found ']'" },
        { "[-]", SYKLI_EPARSE, "1:3: expected a digit, found ']'" },
        { "[1e+]", SYKLI_EPARSE, "1:5: expected a digit of the exponent, found ']'" },
        { "[+1]", SYKLI_EPARSE, "1:2: expected a value, found '+'" },
        { "[.5]", SYKLI_EPARSE, "1:2: expected a value, found '.'" },
        { "[\"a\tb\"]", SYKLI_EPARSE, "1:4: a control character in a string; write it as \\u00XX" },
        { "[\"abc]", SYKLI_EPARSE, "1:2: the string has no end" },
        { "[\"abc\\", SYKLI_EPARSE, "1:6: the string has no end" },
        { "[\"\\x\"]", SYKLI_EPARSE, "1:3: unknown escape in a string" },
        { "[\"\\u12g4\"]", SYKLI_EPARSE, "1:3: \\u needs four hex digits" },
        { "[\"\xff\"]", SYKLI_EPARSE, "1:3: not valid UTF-8" },
        { "[\"\xed\xa0\x80\"]", SYKLI_EPARSE, "1:3: not valid UTF-8" },
        { "[\"\xc0\xaf\"]", SYKLI_EPARSE, "1:3: not valid UTF-8" },
        { "[\"\\u0000\"]", SYKLI_EINVAL, "1:3: nul_in_string: \\u0000 is not allowed" },
        { "[\"\\ud800x\"]", SYKLI_EINVAL, "1:3: lone_surrogate: half of a surrogate pair" },
        { "[\"\\udc00\"]", SYKLI_EINVAL, "1:3: lone_surrogate: half of a surrogate pair" },
        { "[\"\\ud800\\ud800\"]", SYKLI_EINVAL, "1:3: lone_surrogate: half of a surrogate pair" },
        { "{\"a\": 1,\n \"\\u0061\": 2}", SYKLI_EINVAL,
          "2:12: duplicate_key: \"a\" has a second value; the first is at 1:7" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sykli_json_doc doc;
        int rc = parse(t, &doc, rows[i].text);
        if (rc == SYKLI_ENOMEM && t->injected) return;
        CHECK_INT(rc, rows[i].code);
        CHECK_INT(t->fault.code, rows[i].code);
        CHECK_TEXT(t->fault.text, rows[i].message);
        CHECK(!doc.nodes && !doc.text);
    }
}

static void a_raw_nul_ends_nothing(test *t)
{
    sykli_json_doc doc;
    int rc = sykli_json_parse(&doc, &t->mem, "[\"a\0b\"]", 7, &t->fault);
    if (rc == SYKLI_ENOMEM && t->injected) return;
    CHECK_INT(rc, SYKLI_EPARSE);
    CHECK_INT(sykli_json_parse(&doc, &t->mem, "[1]\0", 4, NULL),
              t->injected ? SYKLI_ENOMEM : SYKLI_EPARSE);
}

static void depth_has_a_limit(test *t)
{
    char text[2 * SYKLI_JSON_DEPTH_MAX + 3];
    sykli_json_doc doc;
    memset(text, '[', SYKLI_JSON_DEPTH_MAX);
    memset(text + SYKLI_JSON_DEPTH_MAX, ']', SYKLI_JSON_DEPTH_MAX);
    text[2 * SYKLI_JSON_DEPTH_MAX] = 0;
    TRY(parse(t, &doc, text));
    CHECK_INT(doc.count, SYKLI_JSON_DEPTH_MAX);
    sykli_json_free(&doc);
    memset(text, '[', SYKLI_JSON_DEPTH_MAX + 1);
    int rc = parse(t, &doc, text);
    if (t->injected) return;
    CHECK_INT(rc, SYKLI_ELIMIT);
    CHECK_TEXT(t->fault.text, "1:65: too_deep: nested more than 64 levels");
    return;
out:
    sykli_json_free(&doc);
}

static void size_has_a_limit(test *t)
{
    sykli_json_doc doc;
    CHECK_INT(sykli_json_parse(&doc, &t->mem, "[]", (64u << 20) + 1, &t->fault), SYKLI_ELIMIT);
    CHECK_TEXT(t->fault.text, "1:1: too_large: more than 64 MiB");
}

// An object of many members, the last of which may be there before.
static int wide(test *t, sykli_json_doc *doc, unsigned count, const char *last)
{
    sykli_buf text;
    sykli_buf_init(&text, &t->mem, SYKLI_TAG_host);
    sykli_buf_text(&text, "{");
    for (unsigned i = 0; i < count; i++) sykli_buf_print(&text, "\"key%u\":%u,", i, i);
    sykli_buf_print(&text, "\"%s\":0}", last);
    int rc = text.error;
    if (!rc) rc = sykli_json_parse(doc, &t->mem, (char *)text.data, text.size, &t->fault);
    sykli_buf_free(&text);
    return rc;
}

static void wide_objects_are_checked_for_twins(test *t)
{
    sykli_json_doc doc = { 0 };
    uint64_t value = 0;
    TRY(wide(t, &doc, 300, "other"));
    CHECK(sykli_json_u64(&doc, sykli_json_get(&doc, 0, "key299"), &value) && value == 299);
    sykli_json_free(&doc);
    int rc = wide(t, &doc, 300, "key17");
    if (t->injected) return;
    CHECK_INT(rc, SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text,
               "1:3690: duplicate_key: \"key17\" has a second value; the first is at 1:177");
out:
    sykli_json_free(&doc);
}

static void a_hostile_object_costs_no_square(test *t)
{
    sykli_json_doc doc = { 0 };
    TRY(wide(t, &doc, 200000, "key199999x"));
    CHECK_INT(doc.nodes[0].count, 200001);
out:
    sykli_json_free(&doc);
}

static void numbers_keep_their_range(test *t)
{
    sykli_json_doc doc;
    uint64_t u = 0;
    int64_t i = 0;
    double f = 0;
    TRY(parse(t, &doc, "[18446744073709551615, 18446744073709551616, -9223372036854775808,"
                       " -9223372036854775809, -0, 1.0, 1e999, 0.1, 123456789012345678901234567890,"
                       " 5e-324, 1.7e308, 0e99999999999, 3]"));
    uint32_t n = 0; // scalars: node numbers are 1, 2, 3 ...
    CHECK(sykli_json_u64(&doc, ++n, &u) && u == UINT64_MAX);
    CHECK(!sykli_json_i64(&doc, n, &i));
    CHECK(!sykli_json_u64(&doc, ++n, &u));
    CHECK(sykli_json_i64(&doc, ++n, &i) && i == INT64_MIN);
    CHECK(!sykli_json_u64(&doc, n, &u));
    CHECK(!sykli_json_i64(&doc, ++n, &i));
    CHECK(sykli_json_i64(&doc, ++n, &i) && i == 0);
    CHECK(!sykli_json_u64(&doc, ++n, &u));
    CHECK(sykli_json_f64(&doc, n, &f) && f == 1.0);
    CHECK(!sykli_json_f64(&doc, ++n, &f));
    CHECK(sykli_json_f64(&doc, ++n, &f) && f == (double)0.1);
    CHECK(sykli_json_f64(&doc, ++n, &f) && f > 1.2345678901234e29 && f < 1.2345678901235e29);
    CHECK(sykli_json_f64(&doc, ++n, &f) && f > 0 && f < 1e-323);
    CHECK(sykli_json_f64(&doc, ++n, &f) && f > 1.69e308);
    CHECK(sykli_json_f64(&doc, ++n, &f) && f == 0);
    CHECK(sykli_json_i64(&doc, ++n, &i) && i == 3);
    CHECK(!sykli_json_text(&doc, n));
out:
    sykli_json_free(&doc);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The C library's answer is exact as well. What is written with 16 digits is often near the middle
// of two doubles; the texts are ties, the edges of the range, and what rounds to them.
static void decimals_are_the_nearest_doubles(test *t)
{
    static const char *const hard[] = {
        "9007199254740993", "9007199254740995", "9007199254740993e5", "4503599627370497.5",
        "4503599627370496.5", "2.2250738585072011e-308", "2.2250738585072014e-308", "5e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400", "0.0e5", "1e23", "8.5e22",
        "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e400",
        "100000000000000000e-17", "6.02214076e23", "0.3", "7.4109846876186982e-323", "1e-1000000"
    };
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        CHECK(bits_of(sykli__json_decimal(hard[i])) == bits_of(strtod(hard[i], NULL)));
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        char text[40];
        random = random * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &random, sizeof value);
        if (i % 2) value = (double)(random >> 40) / 1000 + (double)(random & 0xfff) / 7;
        if (value - value != 0) continue;
        snprintf(text, sizeof text, "%.*g", 15 + i % 4, value);
        CHECK(bits_of(sykli__json_decimal(text)) == bits_of(strtod(text, NULL)));
    }
}

static void arguments_have_fallbacks(test *t)
{
    sykli_json_doc doc;
    TRY(parse(t, &doc, "{\"name\":\"lib\",\"limit\":7,\"empty\":null,\"wrong\":\"7\"}"));
    CHECK_TEXT(sykli_arg_text(&doc, "name", "?"), "lib");
    CHECK_TEXT(sykli_arg_text(&doc, "empty", "?"), "?");
    CHECK_TEXT(sykli_arg_text(&doc, "limit", "?"), "?");
    CHECK_INT(sykli_arg_u64(&doc, "limit", 1), 7);
    CHECK_INT(sykli_arg_u64(&doc, "wrong", 1), 1);
    CHECK_INT(sykli_arg_u64(&doc, "absent", 1), 1);
out:
    sykli_json_free(&doc);
}

static void what_is_quoted_is_read_back(test *t)
{
    static const char text[] = "a\"\\/\b\f\n\r\t\x01\x1b[31m\x7f\xc2\x9b \xc3\xbc\xf0\x9f\x98\x80";
    sykli_json_doc doc = { 0 };
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    TRY(sykli_json_quote(&out, text, strlen(text)));
    CHECK_TEXT((char *)out.data, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001b[31m\\u007f\\u009b "
                                 "\xc3\xbc\xf0\x9f\x98\x80\"");
    TRY(sykli_json_parse(&doc, &t->mem, (char *)out.data, out.size, &t->fault));
    CHECK_TEXT(sykli_json_text(&doc, 0), text);
    sykli_buf_reset(&out);
    TRY(sykli_json_quote(&out, "\xff" "a\xe2\x82" "\0z", 6));
    CHECK_TEXT((char *)out.data, "\"\xef\xbf\xbd" "a\xef\xbf\xbd\xef\xbf\xbd\\u0000z\"");
out:
    sykli_json_free(&doc);
    sykli_buf_free(&out);
}

// Every cut and every changed byte of a document is read or refused, never more.
static void damaged_text_is_harmless(test *t)
{
    static const char text[] = "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\\n\"],"
                               "\"b\":{\"c\":null,\"d\":true}}";
    char copy[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int c = 0; c < 256; c++) {
            sykli_json_doc doc;
            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            size_t size = c == 255 ? i : sizeof text - 1;
            char *exact = (char *)malloc(size + 1); // so that ASan sees a read behind the end
            if (!exact) return;
            memcpy(exact + 1, copy, size);
            if (!sykli_json_parse(&doc, &t->mem, exact + 1, size, &t->fault)) sykli_json_free(&doc);
            free(exact);
        }
}

// A member that is not there is mostly known by a bit; members that share their bits are still told
// apart, and twins among them are found.
static void keys_that_share_a_bit_are_told_apart(test *t)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (const char *a = letters; *a && !t->failed; a++)
        for (const char *b = letters; *b; b++) {
            char text[64], one[3] = { *a, *b, 0 };
            sykli_json_doc doc;
            snprintf(text, sizeof text, "{\"%s\":1,\"aa\":[2,%d]}", one, *b);
            int rc = parse(t, &doc, text);
            if (!strcmp(one, "aa")) {
                CHECK(rc == SYKLI_EINVAL || rc == SYKLI_ENOMEM);
                continue;
            }
            TRY(rc);
            CHECK_INT(sykli_json_get(&doc, 0, one), 1);
            CHECK_INT(sykli_json_get(&doc, 0, "aa"), 2);
            for (const char *c = letters; *c; c++) {
                char other[3] = { *a, *c, 0 };
                bool there = *b == *c || !strcmp(other, "aa");
                CHECK(sykli_json_member(&doc, 0, other) == there);
            }
            CHECK(!sykli_json_get(&doc, 0, "") && !sykli_json_get(&doc, 2, one));
            sykli_json_free(&doc);
        }
out:;
}

int main(int argc, char **argv)
{
    TEST_SOME(20, keys_that_share_a_bit_are_told_apart);
    TEST_STORY(a_document_is_an_array_of_nodes);
    TEST_STORY(empty_containers_have_no_children);
    TEST_STORY(any_value_may_be_the_root);
    TEST_STORY(what_is_refused_says_where);
    TEST_STORY(a_raw_nul_ends_nothing);
    TEST_STORY(depth_has_a_limit);
    TEST_STORY(size_has_a_limit);
    TEST_STORY(wide_objects_are_checked_for_twins);
    TEST_STORY(a_hostile_object_costs_no_square);
    TEST_STORY(numbers_keep_their_range);
    TEST_STORY(decimals_are_the_nearest_doubles);
    TEST_STORY(arguments_have_fallbacks);
    TEST_STORY(what_is_quoted_is_read_back);
    TEST_STORY(damaged_text_is_harmless);
    return test_end(argc, argv);
}
