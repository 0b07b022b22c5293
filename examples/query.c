// A table and an op of one's own: from then on `query` and `call` know them, here and remotely.
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#include <stdio.h>
#include <string.h>

#define LAMP_COLUMNS(X, T)                                                                         \
    X(T, STR, room, 32, none, public, "where it hangs")                                            \
    X(T, BOOL, on, 0, none, public, "whether it shines")                                           \
    X(T, U64, power_watts, 0, none, observer, "what it draws now")
SYKLI_ROW(lamp, LAMP_COLUMNS)
SYKLI_COLUMNS(lamp, LAMP_COLUMNS)

static lamp lamps[] = { { "kitchen", 1, 9 }, { "hall", 0, 0 }, { "desk", 1, 4 } };
enum { LAMP_COUNT = sizeof lamps / sizeof *lamps };

static int scan_lamps(void *user, sykli_emit *to)
{
    (void)user;
    int rc = 0;
    for (int i = 0; i < LAMP_COUNT && rc == 0; i++) rc = to->row(to, &lamps[i]);
    return rc;
}

// lamp.switch {"room": ..., "on": ...}
static int switch_lamp(sykli_call *call)
{
    const char *room = sykli_arg_text(call->args, "room", "");
    for (int i = 0; i < LAMP_COUNT; i++)
        if (!strcmp(lamps[i].room, room)) {
            lamps[i].on = sykli_json_bool(call->args, sykli_json_get(call->args, 0, "on"), true);
            lamps[i].power_watts = lamps[i].on ? 9 : 0;
            return 0;
        }
    return sykli_set_error(call->context, SYKLI_ENOENT, "no lamp hangs in \"%s\"", room);
}

int main(void)
{
    static const sykli_param params[] = {
        { "room", SYKLI_KIND_TEXT, true, "where it hangs" },
        { "on", SYKLI_KIND_BOOL, false, "default: true" } };
    sykli *s = sykli_open(NULL);
    sykli_table_add(s, &(sykli_table){ .name = "lamps", .help = "what shines",
        .columns = lamp_columns, .column_count = sizeof lamp_columns / sizeof *lamp_columns,
        .row_size = sizeof(lamp), .scan = scan_lamps });
    sykli_op_add(s, &(sykli_op){ .id = SYKLI_OP_OWN, .name = "lamp.switch",
        .help = "switches one lamp", .role = SYKLI_ROLE_operator, .params = params,
        .param_count = 2, .handler = switch_lamp });

    sykli_handle call = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_call,
        .what = "lamp.switch", .args = "{\"room\": \"hall\"}" });
    if (!call.id) fprintf(stderr, "%s\n", sykli_errmsg(s));
    sykli_request_close(s, call);

    int rows = sykli_print(s, stdout, "SELECT room, power_watts FROM lamps WHERE on ORDER BY room");
    if (rows < 0) fprintf(stderr, "%s\n", sykli_errmsg(s));
    sykli_close(s);
    return rows != LAMP_COUNT;
}
