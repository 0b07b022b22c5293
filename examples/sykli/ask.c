#include "ask.h"
#include <string.h>

sykli *ask_open(cli *c, int *exit)
{
    sykli *s = sykli_open(&(sykli_desc){ .cache_dir = c->cache_dir, .state_dir = c->state_dir,
                                         .no_history = true });
    *exit = 0;
    if (s && !sykli_error(s)) return s;
    *exit = s ? cli_fail_sykli(c, sykli_error(s), sykli_errmsg(s))
              : cli_fail_sykli(c, SYKLI_ENOMEM, NULL);
    sykli_close(s);
    return NULL;
}

int ask(cli *c, sykli *s, const sykli_request *desc, sykli_buf *body)
{
    char piece[4096];
    int64_t got = 0;
    sykli_handle request = sykli_request_open(s, desc);
    if (!request.id) {
        int code = sykli_error(s) ? sykli_error(s) : SYKLI_EINVAL;
        return sykli_fail(&c->fault, code, "%s", sykli_errmsg(s));
    }
    while ((got = sykli_request_read(s, request, piece, sizeof piece)) >= 0) {
        if (got) sykli_buf_add(body, piece, (size_t)got);
        else sykli_poll(s, -1);
    }
    if (got == SYKLI_EOF) got = body->error;
    if (got < 0) sykli_fail(&c->fault, (int)got, "%s", sykli_request_message(s, request));
    sykli_request_close(s, request);
    return (int)got;
}

static int print_result(cli *c, const sykli_result *result, sykli_format format)
{
    sykli_buf out;
    sykli_buf_init(&out, &c->mem, SYKLI_TAG_host);
    int rc = sykli_result_render(result, c->json ? SYKLI_FORMAT_json : format, &out);
    if (rc >= 0 && c->json) {
        while (out.size && out.data[out.size - 1] == '\n') out.data[--out.size] = 0;
        cli_envelope(c, true, (const char *)out.data);
    } else if (rc >= 0) {
        fwrite(out.data, 1, out.size, stdout);
    }
    sykli_buf_free(&out);
    return rc < 0 ? cli_fail_sykli(c, rc, NULL) : CLI_OK;
}

int ask_print(cli *c, sykli *s, const char *node, const char *query, sykli_format format)
{
    sykli_buf body;
    sykli_buf_init(&body, &c->mem, SYKLI_TAG_host);
    int rc = ask(c, s, &(sykli_request){ .verb = SYKLI_VERB_query, .node = node, .what = query },
                 &body);
    sykli_result *result = NULL;
    if (rc >= 0) {
        result = sykli_result_decode(&c->mem, body.data, body.size, &c->fault);
        if (!result) rc = c->fault.code;
    }
    int code = rc < 0 ? cli_fail_sykli(c, rc, c->fault.text) : print_result(c, result, format);
    sykli_result_free(result);
    sykli_buf_free(&body);
    return code;
}
