/* caps/explain.h -- a token in words, for people: what it allows and by which handles it is
 * revoked.
 *
 * Needs no key and verifies nothing: a caveat is shown as its holder wrote it. */
#ifndef CAPS_EXPLAIN_H
#define CAPS_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "caps/caveat.h"
#include "caps/identifier.h"
#include "caps/token.h"

/* One line about a token.  Pointers are valid during the call only. */
struct urd_caps_explanation {
    enum urd_caps_kind kind; /* URD_CAPS_IDENTIFIER for the first, then one a caveat */
    const char *text;        /* as it stands in the token, other than visible ASCII shown as \xNN */
    const char *words;       /* a sentence */
    const char *handle;      /* TOKENID or TOKENID/LINK when this can be revoked by it, else "" */
};

typedef void (*urd_caps_explain_fn)(void *arg, const struct urd_caps_explanation *explanation);

/* Call @tell for the identifier and then for each caveat in order.  The handles told are the chain
 * of revocation ids, widest first; the last one is the nearest. Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_explain(const struct urd_caps_token *token, urd_caps_explain_fn tell,
                                      void *arg);

#endif
