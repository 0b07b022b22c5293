// Requests, waited for: what every verb that looks or changes stands on. A session is a context
// that runs nothing and, where a node runs in the state directory, its client.
#ifndef ASK_H_INCLUDED
#define ASK_H_INCLUDED

#include "cli.h"
#include "sykli_mesh.h"

// What is waited for an answer: of all nodes (partial beats hanging), to a query, to a call.
enum { ASK_ALL_MS = 2000, ASK_QUERY_MS = 5000, ASK_CALL_MS = 30000 };

typedef struct asking {
    cli *c;
    sykli *s;
    sykli_mesh *mesh;   // NULL: no node runs here
    const char *node;   // name of the node that runs here
} asking;

// Becomes a client of the node of the state directory.
//   returns  0, or the exit code after an error message: no node runs there, start one
int ask_begin(asking *a, cli *c);
// The same, but without a node the tables of this machine answer: `mesh` is then NULL.
int ask_begin_anyhow(asking *a, cli *c);
// The name of the node whose client a context is.     returns  NULL with c->fault set
const char *ask_node_name(cli *c, sykli *s);
// A context alone, no node is asked.
//   name     of this machine's node, where that matters; NULL: the host's
int ask_begin_alone(asking *a, cli *c, const char *name);
void ask_end(asking *a);

// Where requests without a node go: the node that runs here, or this process.
const char *ask_here(const asking *a);
// The node a word of the command line means: NULL, ".", "@" and the name of the node that runs
// here all mean that one.
const char *ask_whom(const asking *a, const char *word);

// Ends a verb with the error of the last call.
int ask_failed(asking *a);

// The arguments of a request. format: JSON text in which %s is a quoted text or null, %u a
// uint64_t, %b true or false (an int)
char *ask_args(cli *c, const char *format, ...);

// Makes a request and reads its whole body into `body`, waiting until it ends or its deadline.
//   returns  0, or the error with c->fault set
int ask(asking *a, const sykli_request *desc, sykli_buf *body);
// The same piece by piece, as they come. `piece` returns 0 to go on, else that ends it.
int ask_pieces(asking *a, const sykli_request *desc,
               int (*piece)(void *user, const void *data, size_t size), void *user);
// The same line by line, as they come, newlines taken off. `line` returns 0 to go on, else that
// ends it and is returned. `tick`, if not NULL, is called at least every `tick_ms`.
typedef struct ask_reader {
    int (*line)(void *user, const char *line, size_t size);
    int (*tick)(void *user);
    int tick_ms;
    void *user;
} ask_reader;
int ask_lines(asking *a, const sykli_request *desc, const ask_reader *reader);
// Prints a line of JSON that came from a node, once it is known to be that.
//   returns  0, ASK_STOP: nobody reads it any more, or the error with c->fault set
enum { ASK_STOP = 1 };
int ask_put_line(cli *c, const char *line, size_t size);

// Calls an op. answer: what it returned; to be freed when 0 came back.
int ask_call(asking *a, const char *node, const char *op, const char *args,
             sykli_json_doc *answer);
// The same; `text` is what it returned as JSON text, good as the data of an envelope.
int ask_call_text(asking *a, const char *node, const char *op, const char *args,
                  sykli_json_doc *answer, const char **text);
// A whole verb without arguments that prints the items of what an op of the node returns.
//   heading  above them     row  prints one of them, a node of the answer
int ask_list(cli *c, const char *op, const char *heading,
             void (*row)(cli *c, const sykli_json_doc *answer, uint32_t item));
// Asks a query.     returns  the result, to be freed; NULL with c->fault set
sykli_result *ask_query(asking *a, const char *node, const char *query);
// A cell as text ("" for NULL), as a number (`fallback` for NULL and what is none); by name of
// the column. Text lives as long as the program.
const char *ask_cell(cli *c, const sykli_result *r, size_t row, const char *column);
uint64_t ask_number(const sykli_result *r, size_t row, const char *column, uint64_t fallback);

// The nodes of the mesh, this one first.
typedef struct ask_node {
    const char *name, *id, *address, *state;
    const char *shown; // NAME@ADDRESS, NAME@local for the node that runs here
    bool self, alive;
} ask_node;
int ask_nodes(asking *a, const ask_node **out, size_t *count);

// What one node answered; code 0: `body` is its answer, else message says why not.
typedef struct ask_answer {
    const ask_node *node;
    int code;
    const char *message;
    sykli_buf body;
} ask_answer;
// Makes the same request at every node at once and waits for all, at most ASK_ALL_MS.
//   out      one a node, freed by ask_answers_free; dead nodes answer ENONODE
int ask_all(asking *a, sykli_verb verb, const char *what, const char *args, ask_answer **out,
            size_t *count);
void ask_answers_free(ask_answer *answers, size_t count);

// Asks a query and prints the answer: a table, CSV, or the envelope with data.items.
//   on       a node, "all", or NULL: here
//   returns  the exit code
int ask_print(asking *a, const char *on, const char *query, sykli_format format);

#endif
