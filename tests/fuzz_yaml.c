// Input: a sykli.yaml. Every value is at its line; what is wrong is named with its line; what the
// node would push is JSON. Linked with the node's own objects.
#include "fuzz.h"
#include "../examples/sykli/config_file.h"

// The text at a line and column, both from 1.
static const char *place(const char *text, int line, int column)
{
    for (; line > 1; line--) {
        text = strchr(text, '\n');
        FUZZ_CHECK(text);
        text++;
    }
    FUZZ_CHECK(column >= 1 && (size_t)column <= strcspn(text, "\n") + 1);
    return text + column - 1;
}

// What would be pushed, if anything: JSON that the node takes as a whole, as it took each key.
static void check_push(cli *c, const config_file *file)
{
    static sykli *s;
    sykli_json_doc doc = { 0 };
    int code;
    if (!s) s = sykli_open(&(sykli_desc){ .node_name = "fuzz" });
    FUZZ_CHECK(s);
    char *json = config_file_json(c, file, s, true, &code);
    FUZZ_CHECK((json == NULL) == (code != 0));
    if (!json) return;
    FUZZ_CHECK(!sykli_json_parse(&doc, &c->mem, json, strlen(json), &c->fault));
    FUZZ_CHECK(!sykli_config_verify(s, json, strlen(json)));
    sykli_json_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    test_begin(&t, 0);
    fuzz_quiet();
    cli c = { .sys = t.sys, .mem = { .sys = &t.sys } };
    config_file file;
    char *text = fuzz_text(data, size);
    size_t length = strlen(text);
    unsigned line = 0, column = 0;
    memset(&file, 0, sizeof file);
    int rc = config_file_parse(&c, "f", text, length, &file);
    if (rc) {
        FUZZ_CHECK(sscanf(c.fault.text, "f:%u:%u: ", &line, &column) == 2);
        place(text, (int)line, (int)column);
    }
    for (size_t i = 0; i < file.count && !rc; i++) {
        const config_item *item = &file.items[i];
        FUZZ_CHECK(*item->key && item->value);
        const char *at = place(text, item->line, item->column);
        FUZZ_CHECK(!*item->value || *at == '"' || *at == '\'' || *at == *item->value);
        FUZZ_CHECK(item->in_list || !strcmp(config_file_value(&file, item->key), item->value));
    }
    if (!rc) check_push(&c, &file);
    cli_release(&c, NULL);
    free(text);
    fuzz_end(&t);
    return 0;
}
