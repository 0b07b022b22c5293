// What the two halves of the reader of pipelines share: pipeline_fields.c knows the fields of a
// task, pipeline.c makes the graph of them.
#ifndef PIPELINE_READER_H_INCLUDED
#define PIPELINE_READER_H_INCLUDED

#include "pipeline.h"

// What is being read, so that an error can say where it is.
typedef struct reader {
    cli *c;
    pipeline *p;
    const sykli_json_doc *doc;
    int version;        // 1 to 4; 0: unknown
    uint32_t task_node; // 0: none
    uint32_t index;     // of the task
    const char *task;   // its name
    uint64_t edges;     // dependencies between single tasks so far
} reader;

// Reports an error at a node of the document.
//   field    of the task, or of the root when no task is being read; NULL: itself
//   element  of the field's list, -1: none
#if defined(__GNUC__)
__attribute__((format(printf, 6, 7)))
#endif
void reader_report(reader *r, const char *type, uint32_t node, const char *field, int element,
                   const char *format, ...);
// Reports that a field is not what it should be.     returns  false
bool reader_wrong_type(reader *r, uint32_t node, const char *field, int element,
                       const char *wanted);

int reader_type(const reader *r, uint32_t node);
const char *reader_type_name(const reader *r, uint32_t node); // "a list"
bool reader_blank(const char *text);
bool reader_same(const char *a, const char *b);               // false if `a` is NULL
// Makes room for one more in an array of the arena.
void *reader_grow(cli *c, void *items, size_t count, size_t *capacity, size_t size);

// Fields of the task: a text, NULL if there is none; a list of texts, *count of them.
const char *reader_text(reader *r, const char *field);
const char **reader_list(reader *r, const char *field, size_t *count);
// The element of a list: where an error about it stands.
uint32_t reader_element(const reader *r, uint32_t list, size_t at);
// A member of an object in a field of the task that must be a string.   returns  NULL: none
const char *reader_member(reader *r, uint32_t object, const char *field, int element,
                          const char *name);

// Whether a task has only the fields that nearly all have: then the others need not be asked for.
bool reader_plain(const reader *r, uint32_t task);

// All fields of the task but name and matrix, and those that name other tasks.
void reader_task(reader *r, pipeline_task *t);

#endif
