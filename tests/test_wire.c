// What goes in comes out, and nothing short, long or padded is taken.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"

static void integers_are_big_endian(test *t)
{
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_wire);
    sykli__wire_put_u8(&out, 0x01);
    sykli__wire_put_u16(&out, 0x0203);
    sykli__wire_put_u32(&out, 0x04050607);
    sykli__wire_put_u64(&out, 0x08090a0b0c0d0e0full);
    TRY(out.error);
    CHECK_INT(out.size, 15);
    for (size_t i = 0; i < out.size; i++) CHECK_INT(out.data[i], i + 1);
    sykli__wire_in in = sykli__wire_over(out.data, out.size);
    CHECK_INT(sykli__wire_u8(&in), 0x01);
    CHECK_INT(sykli__wire_u16(&in), 0x0203);
    CHECK_INT(sykli__wire_u32(&in), 0x04050607);
    CHECK(sykli__wire_u64(&in) == 0x08090a0b0c0d0e0full);
    CHECK(sykli__wire_ended(&in));
    CHECK_INT(sykli__wire_u8(&in), 0);
    CHECK(in.bad && !sykli__wire_ended(&in));
out:
    sykli_buf_free(&out);
}

static void short_reads_stay_bad(test *t)
{
    const uint8_t bytes[] = { 1, 2, 3 };
    sykli__wire_in in = sykli__wire_over(bytes, sizeof bytes);
    CHECK(!sykli__wire_take(&in, SIZE_MAX));
    CHECK(in.bad);
    CHECK(!sykli__wire_take(&in, 0)); // nothing is read after an error, not even nothing
    CHECK_INT(sykli__wire_u8(&in), 0);
    uint8_t copy[4] = { 9, 9, 9, 9 };
    in = sykli__wire_over(bytes, sizeof bytes);
    sykli__wire_copy(&in, copy, sizeof copy);
    CHECK(in.bad && !copy[0] && !copy[3]);
    in = sykli__wire_over(bytes, sizeof bytes);
    CHECK_INT(sykli__wire_u32(&in), 0);
    CHECK(in.bad);
    in = sykli__wire_over(NULL, 0);
    CHECK(sykli__wire_ended(&in));
}

static void varints_have_one_form(test *t)
{
    static const uint64_t values[] = { 0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX,
                                       UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX };
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_wire);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        sykli_buf_reset(&out);
        sykli__wire_put_varint(&out, values[i]);
        TRY(out.error);
        sykli__wire_in in = sykli__wire_over(out.data, out.size);
        CHECK(sykli__wire_varint(&in) == values[i]);
        CHECK(sykli__wire_ended(&in));
        in = sykli__wire_over(out.data, out.size - 1);
        CHECK(sykli__wire_varint(&in) == 0 && in.bad);
    }
    CHECK_INT(out.size, 10);
    static const struct { uint8_t bytes[11]; size_t size; } wrong[] = {
        { { 0x80, 0x00 }, 2 },                                                       // padded
        { { 0x81, 0x80, 0x00 }, 3 },                                                 // padded
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 10 },      // 65 bits
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x01 }, 11 } // 11 bytes
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sykli__wire_in in = sykli__wire_over(wrong[i].bytes, wrong[i].size);
        CHECK(sykli__wire_varint(&in) == 0 && in.bad);
    }
out:
    sykli_buf_free(&out);
}

static void text_is_bounded_utf8(test *t)
{
    sykli_buf out;
    char name[8] = "x", *large = NULL;
    size_t size;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_wire);
    sykli__wire_put_text(&out, "h\xc3\xa9llo!");
    TRY(out.error);
    sykli__wire_in in = sykli__wire_over(out.data, out.size);
    sykli__wire_text_copy(&in, name, sizeof name);
    CHECK_TEXT(name, "h\xc3\xa9llo!");
    CHECK(sykli__wire_ended(&in));
    in = sykli__wire_over(out.data, out.size);
    sykli__wire_text_copy(&in, name, 7); // one byte too small
    CHECK(in.bad);
    CHECK_TEXT(name, "");
    in = sykli__wire_over(out.data, out.size - 1);
    CHECK_TEXT(sykli__wire_text(&in, 100, &size), "");
    CHECK(in.bad && !size);
    static const char *const wrong[] = { "\0\2a\0", "\0\2\xc0\x80", "\0\1\xff", "\xff\xff" };
    for (size_t i = 0; i < 4; i++) {
        in = sykli__wire_over(wrong[i], i == 3 ? 2 : i == 2 ? 3 : 4);
        sykli__wire_text(&in, UINT16_MAX, &size);
        CHECK(in.bad);
    }
    TRY_NOT_NULL(large = (char *)sykli_mem_resize(&t->mem, SYKLI_TAG_wire, NULL, 0, 65537));
    memset(large, 'a', 65536);
    sykli__wire_put_text(&out, large);
    CHECK_INT(out.error, SYKLI_ELIMIT);
out:
    if (large) sykli_mem_resize(&t->mem, SYKLI_TAG_wire, large, 65537, 0);
    sykli_buf_free(&out);
}

// As a later version will write them.
static void put_field(sykli_buf *out, uint16_t type, const char *value)
{
    sykli__wire_put_u16(out, type);
    sykli__wire_put_text(out, value);
}

static void unknown_fields_are_passed_over(test *t)
{
    sykli_buf out;
    uint16_t type;
    sykli__wire_in in, value;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_wire);
    put_field(&out, 7, "abc");
    put_field(&out, 9000, "");
    put_field(&out, 1, "zz");
    TRY(out.error);
    in = sykli__wire_over(out.data, out.size);
    CHECK(sykli__wire_tlv(&in, &type, &value) && type == 7 && value.left == 3);
    CHECK(!memcmp(sykli__wire_take(&value, 3), "abc", 3));
    CHECK(sykli__wire_tlv(&in, &type, &value) && type == 9000 && !value.left);
    CHECK(sykli__wire_tlv(&in, &type, &value) && type == 1 && sykli__wire_u16(&value) == 0x7a7a);
    CHECK(!sykli__wire_tlv(&in, &type, &value) && !in.bad);
    for (size_t cut = 1; cut < out.size; cut++) {
        int fields = 0;
        in = sykli__wire_over(out.data, cut);
        while (sykli__wire_tlv(&in, &type, &value)) fields++;
        CHECK(in.bad == (cut != 7 && cut != 11));
        CHECK_INT(fields, (cut >= 7) + (cut >= 11));
    }
out:
    sykli_buf_free(&out);
}

int main(int argc, char **argv)
{
    TEST_STORY(integers_are_big_endian);
    TEST_STORY(short_reads_stay_bad);
    TEST_STORY(varints_have_one_form);
    TEST_STORY(text_is_bounded_utf8);
    TEST_STORY(unknown_fields_are_passed_over);
    return test_end(argc, argv);
}
