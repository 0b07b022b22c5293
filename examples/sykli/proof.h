// Success criteria and evidence: whether an attempt of a task counts as a success.
#ifndef PROOF_H_INCLUDED
#define PROOF_H_INCLUDED

#include "pipeline.h"

typedef struct proof_place {
    cli *c;
    const char *dir;      // the project folder
    pipeline_task *task;
} proof_place;

// For `accept` of a task with proofs; user is its proof_place.
bool proof_accept(void *user, const sykli_attempt *attempt);

// What the proofs of a task are, for its key.
char *proof_key(cli *c, const pipeline_task *t);

// The results as members of a JSON object, with the comma in front; nothing if there are none.
void proof_json(sykli_buf *b, const pipeline_task *t);

#endif
