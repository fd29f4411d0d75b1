/* node/http_call.h -- steps that an HTTP service carries out.
 *
 * POST to the step's URL with the input as its JSON body, and the headers
 *     Idempotency-Key (the effect key)  Urd-Saga  Urd-Step  Urd-Direction  Urd-Epoch  and, on an
 * undo, Urd-Do-Key
 *
 *     2xx done, the body its result · 202 later · 408 425 429 503 and connection refused: retry,
 * after Retry-After · other 4xx fail · every other answer, a timeout, a cut connection: unknown
 *
 * Only hosts in `http.allow` are called ("host" or "host:port", compared without case); a name that
 * resolves to a loopback or link-local address is refused, unless that address is itself allowed;
 * redirects are not followed, no proxy is used.  One call is one task and no thread: libcurl's
 * multi interface on the poller. */
#ifndef NODE_HTTP_CALL_H
#define NODE_HTTP_CALL_H

#include "saga/participant.h"

#define NODE_HTTP_BODY_BYTES_MAX SAGA_RESULT_BYTES_MAX

struct node_http_calls;

/* @allow: @allow_count texts, copied.  Errors: URD_E_NOMEM, URD_E_SYSTEM libcurl does not start. */
URD_MUST_USE urd_err node_http_calls_new(const char *const *allow, size_t allow_count,
                                         struct node_http_calls **ret);
void node_http_calls_free(struct node_http_calls *calls);

/* Whether @url may be called at all: http(s), and its host allowed.  Asked at submit, and again
 * before a call. */
bool node_http_allowed(const struct node_http_calls *calls, const char *url);

/* Carry @d (its action is a URL) out.  As saga_participant_ops.dispatch. */
URD_MUST_USE urd_err node_http_call(struct node_http_calls *calls, struct urd_cx *cx,
                                    struct saga_dispatch *d, struct saga_answer *ret);

#endif
