// Requests to a context, waited for: what verbs that only look use.
#ifndef ASK_H_INCLUDED
#define ASK_H_INCLUDED

#include "cli.h"

// A context that runs nothing: tables of this machine's store, runs and live processes.
//   returns  NULL after an error message, *exit is set
sykli *ask_open(cli *c, int *exit);

// Makes a request and reads its whole body into `body`, waiting until it ends.
//   returns  0, or the error with c->fault set
int ask(cli *c, sykli *s, const sykli_request *desc, sykli_buf *body);

// Asks a query and prints the answer: a table, CSV, or the envelope with data.items.
//   returns  the exit code
int ask_print(cli *c, sykli *s, const char *node, const char *query, sykli_format format);

#endif
