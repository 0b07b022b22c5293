// What stands between a task's output and its readers: lines, cap, masks, terminal control.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static uint64_t random_state = 1;
static uint32_t next_random(uint32_t below) // xorshift64* (Vigna 2016)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 2685821657736338717u) >> 33) % below;
}

// ---- lines

typedef struct heard { sykli_buf text; int lines, fail_at; } heard;
static int hear(void *user, const char *line, size_t size)
{
    heard *h = (heard *)user;
    if (++h->lines == h->fail_at) return 42;
    sykli_buf_add(&h->text, line, size);
    return sykli_buf_text(&h->text, "|");
}

static void lines_are_whole_however_they_come(test *t)
{
    static const char text[] = "one\n\nthree\r\nfour";
    for (size_t step = 1; step < sizeof text; step++) {
        heard h = { { 0 }, 0, 0 };
        sykli__log_lines lines;
        sykli_buf_init(&h.text, &t->mem, SYKLI_TAG_host);
        sykli__log_lines_init(&lines, &t->mem, hear, &h);
        for (size_t at = 0; at < sizeof text - 1; at += step) {
            size_t left = sizeof text - 1 - at;
            TRY(sykli__log_lines_feed(&lines, text + at, left < step ? left : step));
        }
        CHECK_TEXT((const char *)h.text.data, "one||three\r|");
        TRY(sykli__log_lines_end(&lines));
        CHECK_TEXT((const char *)h.text.data, "one||three\r|four|");
        TRY(sykli__log_lines_end(&lines));
        CHECK_INT(h.lines, 4);
    out:
        sykli__log_lines_free(&lines);
        sykli_buf_free(&h.text);
    }
}

static void an_endless_line_is_split(test *t)
{
    static char text[200000];
    heard h = { { 0 }, 0, 0 };
    sykli__log_lines lines;
    sykli_buf_init(&h.text, &t->mem, SYKLI_TAG_host);
    sykli__log_lines_init(&lines, &t->mem, hear, &h);
    memset(text, 'x', sizeof text);
    memcpy(text + 65534, "\xf0\x9f\x98\x80", 4); // a character where the cut would be
    TRY(sykli__log_lines_feed(&lines, text, 100));
    TRY(sykli__log_lines_feed(&lines, text + 100, sizeof text - 100));
    CHECK_INT(h.lines, 3);
    CHECK(lines.part.capacity <= 131072 && lines.part.size < SYKLI__LOG_LINE_MAX);
    CHECK(!memcmp(h.text.data + 65534, " [sykli: the line goes on]|\xf0\x9f\x98\x80x", 32));
    TRY(sykli__log_lines_end(&lines));
    CHECK_INT(h.text.size, sizeof text + 3 * strlen(" [sykli: the line goes on]") + 4);
out:
    sykli__log_lines_free(&lines);
    sykli_buf_free(&h.text);
}

static void a_listener_can_stop(test *t)
{
    heard h = { { 0 }, 0, 2 };
    sykli__log_lines lines;
    sykli_buf_init(&h.text, &t->mem, SYKLI_TAG_host);
    sykli__log_lines_init(&lines, &t->mem, hear, &h);
    int rc = sykli__log_lines_feed(&lines, "a\nb\nc\n", 6);
    if (!t->injected) CHECK_INT(rc, 42);
    if (!t->injected) CHECK_INT(h.lines, 2);
    sykli__log_lines_free(&lines);
    sykli_buf_free(&h.text);
}

static void only_the_last_line_of_many(test *t)
{
    heard h = { { 0 }, 0, 0 };
    sykli__log_lines lines;
    sykli_buf_init(&h.text, &t->mem, SYKLI_TAG_host);
    sykli__log_lines_init(&lines, &t->mem, hear, &h);
    TRY(sykli__log_lines_feed_last(&lines, "be", 2));
    TRY(sykli__log_lines_feed_last(&lines, "gin\nnew", 7));
    TRY(sykli__log_lines_feed_last(&lines, "er\ntwo\nthree\n", 13));
    TRY(sykli__log_lines_feed_last(&lines, "\n", 1));
    TRY(sykli__log_lines_feed_last(&lines, "x\nend", 5));
    TRY(sykli__log_lines_end(&lines));
    sykli_buf_add(&h.text, "", 1);
    if (!t->injected) CHECK_TEXT((char *)h.text.data, "begin|three||x|end|");
out:
    sykli__log_lines_free(&lines);
    sykli_buf_free(&h.text);
}

static void a_log_ends_at_its_cap(test *t)
{
    char mark[128];
    sykli__log_cap cap = { .max_bytes = 100 };
    CHECK_INT(sykli__log_cap_take(&cap, 60), 60);
    CHECK_INT(sykli__log_cap_take(&cap, 40), 40);
    CHECK_INT(sykli__log_cap_mark(&cap, mark), 0);
    CHECK_INT(sykli__log_cap_take(&cap, 5), 0);
    CHECK_INT(sykli__log_cap_take(&cap, 1000), 0);
    CHECK_INT(sykli__log_cap_mark(&cap, mark), strlen(mark));
    CHECK_TEXT(mark, "\n[sykli: log cut at 100 bytes, 1005 more bytes dropped]\n");
    cap = (sykli__log_cap){ .max_bytes = 10 };
    CHECK_INT(sykli__log_cap_take(&cap, 25), 10);
    CHECK_INT(cap.dropped_bytes, 15);
}

// ---- terminal control

static void a_terminal_sees_text_and_colour_only(test *t)
{
    static const struct { const char *in, *colour, *plain; } cases[] = {
        { "plain\ttext\n", "plain\ttext\n", "plain\ttext\n" },
        { "\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red" },
        { "\x1b[1;38;2;1;2;3;48;2;4;5;6mx\x1b[m", "\x1b[1;38;2;1;2;3;48;2;4;5;6mx\x1b[m", "x" },
        { "\x1b[31mleft on", "\x1b[31mleft on\x1b[0m", "left on" },
        { "\x1b[2J\x1b[H", "^[[2J^[[H", "^[[2J^[[H" },
        { "\x1b]0;title\x07", "^[]0;title^G", "^[]0;title^G" },
        { "\x1b]8;;http://x\x1b\\", "^[]8;;http://x^[\\", "^[]8;;http://x^[\\" },
        { "\x1b[?25l\x1b[>4;2m\x1b[1:2m", "^[[?25l^[[>4;2m^[[1:2m", "^[[?25l^[[>4;2m^[[1:2m" },
        { "\x1b[3\x1b[31mx\x1b[0m", "^[[3\x1b[31mx\x1b[0m", "^[[3x" },
        { "\x1b\x1b[0m", "^[\x1b[0m", "^[" },
        { "a\x08\x7f\x01", "a^H^?^A", "a^H^?^A" },
        { "1%\r2%\r\n3\r\r\n\n\r", "1%\n2%\n3\n\n\n", "1%\n2%\n3\n\n\n" },
        { "\xc2\x9b" "31m \xc2\x85", "^[[31m ^[E", "^[[31m ^[E" },
        { "\x9b" "31m", "\xef\xbf\xbd" "31m", "\xef\xbf\xbd" "31m" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x9c\x93 \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x9c\x93 "
          "\xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x9c\x93 \xf0\x9f\x98\x80" },
        { "\xc0\x9b\xe2\x9c!\xed\xa0\x80\xf8", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\xef\xbf\xbd"
          "\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\xef\xbf\xbd\xef\xbf\xbd" },
        { "cut \xe2\x9c", "cut \xef\xbf\xbd", "cut \xef\xbf\xbd" },
        { "cut \x1b[3", "cut ^[[3", "cut ^[[3" },
    };
    sykli_buf out;
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sykli_buf_reset(&out);
        TRY(sykli_log_safe(&out, cases[i].in, strlen(cases[i].in), true));
        CHECK_TEXT((const char *)out.data, cases[i].colour);
        sykli_buf_reset(&out);
        TRY(sykli_log_safe(&out, cases[i].in, strlen(cases[i].in), false));
        CHECK_TEXT((const char *)out.data, cases[i].plain);
    }
    sykli_buf_reset(&out);
    TRY(sykli_log_safe(&out, "a\0b", 3, true));
    CHECK_TEXT((const char *)out.data, "a^@b");
out:
    sykli_buf_free(&out);
}

// The oracle: printable UTF-8, tab, newline, and ESC [ digits ; m as a whole.
static bool is_harmless(const uint8_t *p, size_t size, bool colour)
{
    if (!sykli_utf8_valid((const char *)p, size)) return false;
    for (size_t i = 0; i < size; i++) {
        if (p[i] == 0xc2 && p[i + 1] < 0xa0) return false;
        if (p[i] == 0x1b && colour) {
            if (i + 2 >= size || p[i + 1] != '[') return false;
            for (i += 2; i < size && (p[i] == ';' || (p[i] >= '0' && p[i] <= '9'));) i++;
            if (i == size || p[i] != 'm') return false;
        } else if (p[i] == 0x7f || (p[i] < 0x20 && p[i] != '\n' && p[i] != '\t')) return false;
    }
    return true;
}

static void no_bytes_drive_a_terminal(test *t)
{
    static const char *const parts[] = { "\x1b", "\x1b[", "[", "0", "31", ";", "m", "\x9b", "\xc2",
        "\x9b", "\r", "\n", "a", "\xe2", "\x80", "\xf0", "\x9f", "]0;", "\x07", "\x7f", "\x1b[31m",
        "\x1b[0m", "\xc2\x9b", "\x90", "?" };
    sykli_buf whole, pieces;
    char text[256];
    random_state = 1; // the same each time, or the places to fail are others
    sykli_buf_init(&whole, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&pieces, &t->mem, SYKLI_TAG_host);
    for (int round = 0; round < 20000 && !t->failed; round++) {
        size_t size = 0;
        bool colour = round & 1;
        while (size < 100) {
            if (!next_random(3)) text[size++] = (char)next_random(256);
            const char *part = parts[next_random(sizeof parts / sizeof *parts)];
            for (; *part; part++) text[size++] = *part;
        }
        sykli_buf_reset(&whole);
        sykli_buf_reset(&pieces);
        TRY(sykli_log_safe(&whole, text, size, colour));
        CHECK(is_harmless(whole.data, whole.size, colour));
        sykli_log_filter filter;
        sykli_log_filter_init(&filter, colour);
        for (size_t at = 0, step; at < size; at += step) {
            step = 1 + next_random(7);
            if (step > size - at) step = size - at;
            TRY(sykli_log_filter_add(&filter, &pieces, text + at, step));
            CHECK(is_harmless(pieces.data, pieces.size, colour)); // at every moment
        }
        TRY(sykli_log_filter_end(&filter, &pieces));
        CHECK(pieces.size == whole.size && !memcmp(pieces.data, whole.data, whole.size));
    }
out:
    sykli_buf_free(&whole);
    sykli_buf_free(&pieces);
}

// ---- masks

typedef struct masked { sykli__log_mask mask; sykli_buf out; } masked;
static void masked_init(test *t, masked *m)
{
    sykli__log_mask_init(&m->mask, &t->mem);
    sykli_buf_init(&m->out, &t->mem, SYKLI_TAG_host);
}
static void masked_free(masked *m)
{
    sykli__log_mask_free(&m->mask);
    sykli_buf_free(&m->out);
}

// Feeds a text in pieces of `step` bytes, 0: random ones. What comes out is in m->out.
static int mask_text(masked *m, const char *text, size_t size, size_t step)
{
    sykli__log_masker masker;
    int rc = 0;
    sykli_buf_reset(&m->out);
    sykli__log_masker_init(&masker, &m->mask);
    for (size_t at = 0, piece; at < size && !rc; at += piece) {
        piece = step ? step : 1 + next_random(next_random(2) ? 4 : 60);
        if (piece > size - at) piece = size - at;
        rc = sykli__log_masker_feed(&masker, &m->out, text + at, piece);
    }
    if (!rc) rc = sykli__log_masker_end(&masker, &m->out);
    sykli__log_masker_free(&masker);
    return rc;
}

#define MASKED(text, expected)                                                                     \
    do { for (size_t step_ = 1; step_ < 40; step_ += 6) {                                          \
             TRY(mask_text(&m, text, strlen(text), step_));                                        \
             CHECK_TEXT((const char *)m.out.data, expected); } } while (0)

static void every_spelling_of_a_secret_is_masked(test *t)
{
    masked m;
    masked_init(t, &m);
    CHECK_INT(sykli__log_mask_add(&m.mask, "ab", 2, &t->fault), 0); // too short
    CHECK_INT(sykli__log_mask_add(&m.mask, "abc\n", 4, &t->fault), 0);
    MASKED("ab abc", "ab abc");
    TRY(sykli__log_mask_add(&m.mask, "p@ss w/\"'<\xc3\xa4\xf0\x9f\x98\x80>\n", 18, &t->fault));
    MASKED("x p@ss w/\"'<\xc3\xa4\xf0\x9f\x98\x80> y", "x *** y");
    MASKED("x cEBzcyB3LyInPMOk8J+YgD4= y", "x *** y");
    MASKED("x cEBzcyB3LyInPMOk8J-YgD4 y", "x *** y"); // url-safe, no padding
    MASKED("x cEBzcyB3LyInPMOk8J+YgD4K y", "x *** y"); // with a newline
    MASKED("x 7040737320772f22273cc3a4f09f98803e y", "x *** y");
    MASKED("x 7040737320772F22273CC3A4F09F98803E y", "x *** y");
    MASKED("x p%40ss%20w%2F%22%27%3C%C3%A4%F0%9F%98%80%3E y", "x *** y");
    MASKED("x p%40ss+w%2f%22%27%3c%c3%a4%f0%9f%98%80%3e y", "x *** y");
    MASKED("x p%40ss%20w/%22'%3C%C3%A4%F0%9F%98%80%3E y", "x *** y");
    MASKED("x p@ss w/\\\"'<\xc3\xa4\xf0\x9f\x98\x80> y", "x *** y"); // JSON
    MASKED("x p@ss w\\/\\\"'<\\u00e4\\ud83d\\ude00> y", "x *** y");
    MASKED("x p@ss w/\\\"'\\u003C\\u00E4\\uD83D\\uDE00\\u003E y", "x *** y");
    MASKED("x p@ss w/\"'\\''<\xc3\xa4\xf0\x9f\x98\x80> y", "x *** y"); // shells
    MASKED("x p@ss w/\"'\"'\"'<\xc3\xa4\xf0\x9f\x98\x80> y", "x *** y");
    MASKED("x p@ss\\ w/\\\"\\'\\<\xc3\xa4\xf0\x9f\x98\x80\\> y", "x *** y");
    MASKED("x p@ss w/\"\\'<\xc3\xa4\xf0\x9f\x98\x80> y", "x *** y");
out:
    masked_free(&m);
}

static void lines_of_a_secret_are_masked(test *t)
{
    masked m;
    static const char key[] = "-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\nq1w2e3r4t5z6\n-----END\n";
    masked_init(t, &m);
    TRY(sykli__log_mask_add(&m.mask, key, strlen(key), &t->fault));
    MASKED("> MIIEvQIBADAN\r\n> q1w2e3r4t5z6\r\n> short\r\n", "> ***\r\n> ***\r\n> short\r\n");
    MASKED("-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\nq1w2e3r4t5z6\n-----END\n", "***\n");
    MASKED("$'-----BEGIN KEY-----\\nMIIEvQIBADAN\\nshort\\nq1w2e3r4t5z6\\n-----END'", "$'***'");
out:
    masked_free(&m);
}

static void secrets_may_overlap(test *t)
{
    masked m;
    masked_init(t, &m);
    TRY(sykli__log_mask_add(&m.mask, "hello1234", 9, &t->fault));
    TRY(sykli__log_mask_add(&m.mask, "1234wxyz", 8, &t->fault));
    TRY(sykli__log_mask_add(&m.mask, "hello", 5, &t->fault));
    TRY(sykli__log_mask_add(&m.mask, "aaaaa", 5, &t->fault));
    MASKED("<hello1234wxyz>", "<***>");
    MASKED("<hello>", "<***>");
    MASKED("<hello1>", "<***1>");
    MASKED("<hello123", "<***123");
    MASKED("hello1234", "***");
    MASKED("<aaaaaaaaaaaa>aaaa", "<***>aaaa");
    MASKED("hellhello1234 hell", "hell*** hell");
out:
    masked_free(&m);
}

static void little_is_held_back(test *t)
{
    masked m;
    sykli__log_masker masker;
    masked_init(t, &m);
    sykli__log_masker_init(&masker, &m.mask);
    TRY(sykli__log_masker_feed(&masker, &m.out, "free ", 5)); // no secrets: passed on
    CHECK_INT(m.out.size, 5);
    TRY(sykli__log_mask_add(&m.mask, "Zecret99", 8, &t->fault));
    sykli__log_masker_init(&masker, &m.mask);
    TRY(sykli__log_masker_feed(&masker, &m.out, "Password: ", 10));
    CHECK_TEXT((const char *)m.out.data, "free Password: "); // a prompt is seen at once
    TRY(sykli__log_masker_feed(&masker, &m.out, "Zecre", 5));
    CHECK_TEXT((const char *)m.out.data, "free Password: ");
    TRY(sykli__log_masker_feed(&masker, &m.out, "tary", 4));
    CHECK_TEXT((const char *)m.out.data, "free Password: Zecretary");
    TRY(sykli__log_masker_feed(&masker, &m.out, "Z", 1));
    CHECK_INT(masker.held.size, 1);
    TRY(sykli__log_masker_end(&masker, &m.out));
    CHECK_TEXT((const char *)m.out.data, "free Password: ZecretaryZ");
out:
    sykli__log_masker_free(&masker);
    masked_free(&m);
}

static void too_much_to_mask_is_an_error(test *t)
{
    masked m;
    static char big[SYKLI__LOG_SECRET_MAX + 1];
    masked_init(t, &m);
    for (size_t i = 0; i < sizeof big; i++) big[i] = " /<'\x84("[i % 6];
    TRY_INT(sykli__log_mask_add(&m.mask, big, sizeof big, &t->fault), SYKLI_ELIMIT);
    TRY_TEXT(t->fault.text, "a secret of 65537 bytes cannot be masked, at most 65536");
    int rc = 1;
    for (int i = 0; i < 8 && rc == 1; i++) {
        big[0] = (char)('a' + i);
        rc = sykli__log_mask_add(&m.mask, big, sizeof big - 1, &t->fault);
    }
    TRY_INT(rc, SYKLI_ELIMIT);
    TRY_TEXT(t->fault.text, "too many secrets to mask");
    CHECK(m.mask.text.size <= SYKLI__LOG_MASK_MAX);
    MASKED("x", "x"); // and still usable
out:
    masked_free(&m);
}

// Encoders of our own, so that a mistake in the library's is found.
static size_t encode_base64(char *out, const uint8_t *p, size_t size, bool url)
{
    const char *set = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                          : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t n = (uint32_t)p[i] << 16 | (i + 1 < size ? (uint32_t)p[i + 1] << 8 : 0)
                   | (i + 2 < size ? p[i + 2] : 0u);
        out[at++] = set[n >> 18];
        out[at++] = set[n >> 12 & 63];
        out[at++] = i + 1 < size ? set[n >> 6 & 63] : '=';
        out[at++] = i + 2 < size ? set[n & 63] : '=';
    }
    return at;
}

static size_t encode(char *out, const uint8_t *p, size_t size, int way)
{
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = p[i];
        bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128);
        if (way == 0) out[at++] = (char)c;
        else if (way == 1) at += (size_t)sprintf(out + at, "%02x", c);
        else if (way == 2) at += (size_t)sprintf(out + at, "%02X", c);
        else if (way == 3 && !word && c != '-' && c != '.' && c != '_' && c != '~')
            at += (size_t)sprintf(out + at, "%%%02X", c);
        else if (way == 4 && (c == '"' || c == '\\')) at += (size_t)sprintf(out + at, "\\%c", c);
        else if (way == 4 && c == '\n') at += (size_t)sprintf(out + at, "\\n");
        else if (way == 4 && c == '\t') at += (size_t)sprintf(out + at, "\\t");
        else if (way == 4 && c == '\r') at += (size_t)sprintf(out + at, "\\r");
        else if (way == 4 && c == 8) at += (size_t)sprintf(out + at, "\\b");
        else if (way == 4 && c == 12) at += (size_t)sprintf(out + at, "\\f");
        else if (way == 4 && c < 32) at += (size_t)sprintf(out + at, "\\u%04x", c);
        else if (way == 5 && c == '\'') at += (size_t)sprintf(out + at, "'\\''");
        else out[at++] = (char)c;
    }
    return at;
}

static size_t random_bytes(uint8_t *out, size_t size)
{
    static const char *const sets[] = { "0123456789abcdef", "abcXYZ019+/=_-", "ab\"'\\ $%&<>\n\t",
                                        "a" };
    uint32_t set = next_random(6);
    for (size_t i = 0; i < size; i++)
        out[i] = set >= 4 ? (uint8_t)(1 + next_random(255))
                          : (uint8_t)sets[set][next_random((uint32_t)strlen(sets[set]))];
    while (size && (out[size - 1] == '\n' || out[size - 1] == '\r')) out[size - 1] = 'z';
    return size;
}

// Text that no spelling of a secret can be part of.
static size_t random_around(uint8_t *out)
{
    size_t size = next_random(50);
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)(i & 1 ? '(' : ')');
    return size;
}

static void random_secrets(test *t, int rounds)
{
    static uint8_t secret[256], text[4096], plain[1024];
    static char code[2048];
    for (int round = 0; round < rounds && !t->failed && !t->injected; round++) {
        masked m;
        masked_init(t, &m);
        size_t size = random_bytes(secret, 4 + next_random(next_random(4) ? 40 : 200));
        TRY(sykli__log_mask_add(&m.mask, (const char *)secret, size, &t->fault));
        for (int way = 0; way < 6; way++) {
            size_t before = random_around(text), at = before;
            at += encode((char *)text + at, secret, size, way);
            at += random_around(text + at);
            TRY(mask_text(&m, (const char *)text, at, 0));
            // A secret of quotes or brackets may reach into what surrounds it, never the other way.
            CHECK(m.out.size <= before + 3 + 50 && strstr((const char *)m.out.data, "***"));
            for (size_t i = 0; i < m.out.size; i++) CHECK(strchr("()*", m.out.data[i]));
        }
        for (int way = 0; way < 2; way++) {
            size_t before = next_random(30), behind = next_random(3) ? next_random(30) : 0;
            memset(plain, 0, sizeof plain); // no secret has a NUL, so none is found in it
            memcpy(plain + before, secret, size);
            size_t length = encode_base64(code, plain, before + size + behind, way);
            TRY(mask_text(&m, code, length, 0));
            const char *stars = strstr((const char *)m.out.data, "***");
            CHECK(stars != NULL);
            if (!stars) continue;
            // At most the digits that secret and surroundings share are seen.
            size_t left = (size_t)(stars - (const char *)m.out.data);
            CHECK(left <= (before * 8 + 5) / 6);
            CHECK(m.out.size - left - 3 <= length - (before + size) * 8 / 6);
            if (!behind) CHECK_INT(m.out.size, left + 3);
        }
    out:
        masked_free(&m);
    }
}

static void random_secrets_never_leak(test *t) { random_secrets(t, 1500); }

static void random_secrets_survive_failures(test *t) { random_secrets(t, 10); }

static void wrapped_encodings_are_masked(test *t)
{
    masked m;
    uint8_t secret[150];
    char code[512], text[600];
    masked_init(t, &m);
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (uint8_t)(i * 7 + 1);
    TRY(sykli__log_mask_add(&m.mask, (const char *)secret, sizeof secret, &t->fault));
    for (size_t width = 60; width <= 76; width += width == 60 ? 4 : 12) {
        size_t length = width == 60 ? encode(code, secret, sizeof secret, 1)
                                    : encode_base64(code, secret, sizeof secret, false);
        size_t at = 0, lines = 0;
        for (size_t i = 0; i < length; i++) {
            if (i && i % width == 0) text[at++] = '\n', lines++;
            text[at++] = code[i];
        }
        text[at] = 0;
        TRY(mask_text(&m, text, at, 0));
        CHECK_INT(m.out.size, 3 * (lines + 1) + lines);
    }
out:
    masked_free(&m);
}

int main(int argc, char **argv)
{
    TEST_STORY(lines_are_whole_however_they_come);
    TEST_STORY(an_endless_line_is_split);
    TEST_STORY(a_listener_can_stop);
    TEST_STORY(only_the_last_line_of_many);
    TEST_STORY(a_log_ends_at_its_cap);
    TEST_STORY(a_terminal_sees_text_and_colour_only);
    TEST_SOME(2, no_bytes_drive_a_terminal);
    TEST_STORY(every_spelling_of_a_secret_is_masked);
    TEST_STORY(lines_of_a_secret_are_masked);
    TEST_STORY(secrets_may_overlap);
    TEST_STORY(little_is_held_back);
    TEST_SOME(2, too_much_to_mask_is_an_error);
    TEST_ONCE(random_secrets_never_leak);
    TEST_STORY(random_secrets_survive_failures);
    TEST_STORY(wrapped_encodings_are_masked);
    return test_end(argc, argv);
}
