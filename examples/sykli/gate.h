// Tasks that wait for a word from outside: gates, and reviews that nobody here can do.
#ifndef GATE_H_INCLUDED
#define GATE_H_INCLUDED

#include "pipeline.h"

typedef struct gates gates;

//   dir      the project folder
//   reached  by others too: a node runs beside us         returns  never NULL
gates *gates_begin(cli *c, sykli *s, pipeline *p, const char *dir, bool reached);
// Feeds the events of the context: a held task opens its gate.
void gates_event(gates *g, const sykli_event *event);
// Looks at the open gates; call it every GATE_TICK_MS while any is open.
void gates_tick(gates *g);
enum { GATE_TICK_MS = 200 };
bool gates_open(const gates *g);
// What would let a held task go on, as a sentence without its beginning: "waits for the file x".
const char *gates_wait_for(const gates *g, const char *task);
// Whether somebody is or will be asked on the terminal: nothing else may draw on it.
bool gates_asking(const gates *g);
void gates_ask_again(const gates *g); // something was printed over the question
void gates_end(gates *g);

#endif
