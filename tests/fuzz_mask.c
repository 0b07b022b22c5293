// Input: two secrets (a byte for the length of each), a byte for the size of pieces, then what a
// task prints, in which 0xfe and 0xff stand for the secrets. No secret comes out of the mask,
// nothing that drives a terminal out of the filter, and neither sees how the text was cut.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

enum { SECRETS = 2, SECRET_MAX = 40, SECOND_MAX = 12, TEXT_MAX_BYTES = 1024 };
typedef struct secret { char text[SECRET_MAX + 1]; size_t size; bool masked; } secret;

static secret take_secret(test *t, fuzz_in *in, sykli__log_mask *mask, size_t max)
{
    secret s = { "", 0, false };
    for (size_t size = fuzz_byte(in) % (max + 1); s.size < size && in->left;)
        s.text[s.size++] = (char)fuzz_byte(in);
    int rc = sykli__log_mask_add(mask, s.text, s.size, &t->fault);
    FUZZ_CHECK(rc >= 0);
    s.masked = rc > 0;
    return s;
}

// The size of the piece at `at`, 0 at the end.
static size_t piece(const sykli_buf *text, size_t at, size_t step)
{
    size_t left = text->size - at;
    return left < step ? left : step;
}

static void mask_text(const sykli__log_mask *mask, const sykli_buf *text, size_t step,
                      sykli_buf *out)
{
    sykli__log_masker m;
    sykli__log_masker_init(&m, mask);
    for (size_t at = 0, size; (size = piece(text, at, step)) > 0; at += size)
        FUZZ_CHECK(!sykli__log_masker_feed(&m, out, (char *)text->data + at, size));
    FUZZ_CHECK(!sykli__log_masker_end(&m, out));
    sykli__log_masker_free(&m);
}

static void filter_text(const sykli_buf *text, size_t step, bool colour, sykli_buf *out)
{
    sykli_log_filter f;
    sykli_log_filter_init(&f, colour);
    for (size_t at = 0, size; (size = piece(text, at, step)) > 0; at += size)
        FUZZ_CHECK(!sykli_log_filter_add(&f, out, (char *)text->data + at, size));
    FUZZ_CHECK(!sykli_log_filter_end(&f, out));
}

static bool same(const sykli_buf *a, const sykli_buf *b)
{
    return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

// Valid UTF-8 without control characters but newline, tab and, with colours, ESC [ digits ; m.
static bool is_harmless(const sykli_buf *b, bool colour)
{
    for (size_t i = 0; i < b->size; i++) {
        uint8_t c = b->data[i];
        if (c == 0x1b && colour && i + 1 < b->size && b->data[i + 1] == '[') {
            for (i += 2; i < b->size && (b->data[i] == ';' || (b->data[i] >= '0'
                                         && b->data[i] <= '9')); i++) continue;
            if (i == b->size || b->data[i] != 'm') return false;
        } else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) return false;
        else if (c == 0xc2 && i + 1 < b->size && b->data[i + 1] < 0xa0) return false;
    }
    return !b->size || sykli_utf8_valid((char *)b->data, b->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    sykli__log_mask mask;
    sykli_buf text, whole, pieces;
    fuzz_in in = { data, size };
    secret secrets[SECRETS];
    test_begin(&t, 0);
    sykli__log_mask_init(&mask, &t.mem);
    sykli_buf_init(&text, &t.mem, SYKLI_TAG_host);
    sykli_buf_init(&whole, &t.mem, SYKLI_TAG_host);
    sykli_buf_init(&pieces, &t.mem, SYKLI_TAG_host);
    for (int i = 0; i < SECRETS; i++)
        secrets[i] = take_secret(&t, &in, &mask, i ? SECOND_MAX : SECRET_MAX);
    size_t step = 1 + fuzz_byte(&in) % 64;
    while (in.left && text.size < TEXT_MAX_BYTES) { // a few bytes could stand for many secrets
        uint8_t c = fuzz_byte(&in);
        if (c >= 0xfe) sykli_buf_add(&text, secrets[c & 1].text, secrets[c & 1].size);
        else sykli_buf_add(&text, &c, 1);
    }
    FUZZ_CHECK(!text.error);

    mask_text(&mask, &text, text.size + 1, &whole);
    mask_text(&mask, &text, step, &pieces);
    FUZZ_CHECK(same(&whole, &pieces));
    for (int i = 0; i < SECRETS; i++) {
        const secret *s = &secrets[i]; // with a * in it, what was put there can complete it
        bool told = s->masked && !memchr(s->text, '*', s->size);
        size_t end = s->size;
        while (end && s->text[end - 1] == '\n') end--;
        FUZZ_CHECK(!told || !whole.size || !memmem(whole.data, whole.size, s->text, end));
    }
    for (int colour = 0; colour < 2; colour++) {
        sykli_buf_reset(&whole);
        sykli_buf_reset(&pieces);
        filter_text(&text, text.size + 1, colour, &whole);
        filter_text(&text, step, colour, &pieces);
        FUZZ_CHECK(same(&whole, &pieces) && is_harmless(&whole, colour));
        sykli_buf_reset(&pieces);
        filter_text(&whole, step, colour, &pieces);
        FUZZ_CHECK(same(&whole, &pieces)); // what is harmless already stays as it is
    }
    sykli_buf_free(&text);
    sykli_buf_free(&whole);
    sykli_buf_free(&pieces);
    sykli__log_mask_free(&mask);
    fuzz_end(&t);
    return 0;
}
