/* saga/document_internal.h -- what the three files of the decoder share. */
#ifndef SAGA_DOCUMENT_INTERNAL_H
#define SAGA_DOCUMENT_INTERNAL_H

#include "saga/document.h"

/* Where a sentence goes, and which step it is about. */
struct saga_complaint {
    char *errmsg;
    size_t errmsg_len;
    const char *step; /* NULL: the document itself */
};

/* Write "step 'pay': ..." and answer @err, so that a check is one line. */
__attribute__((format(printf, 3, 4))) urd_err saga_complain(const struct saga_complaint *complaint,
                                                            urd_err err, const char *format, ...);

/* Names go into keys, resources and paths: printable, no '/', 1 to @bytes_max bytes. */
bool saga_name_valid(const char *name, size_t bytes_max);

/* A reference is exactly {"$from": STEP} or {"$from": STEP, "$pointer": POINTER}. */
bool saga_reference_is(const json_t *value);

/* Fill each step's `from` and `references`.  Needs names and the index. */
urd_err saga_references_find(struct saga_document *document, struct saga_complaint *complaint);

/* The rules about pivots, what comes after them, and what cannot be undone. */
urd_err saga_rules_check(struct saga_document *document, struct saga_complaint *complaint);

#endif
