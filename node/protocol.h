/* node/protocol.h -- the wire between clients and nodes: messages, their limits, one decoder each
 * way.
 *
 * The messages are node/protocol.proto, generated into structs `Urd__V1__…`; a request is one
 * Urd__V1__Request, an answer one Urd__V1__Reply, each a frame of runtime/rpc.h.  What an RPC may
 * do is access.h's business.
 *
 * Both directions are checked against the same table of limits: by whoever sends, before a byte
 * leaves (URD_E_TOO_BIG is an answer, a frame that the transport drops is a riddle), and by whoever
 * receives, before a field is looked at.  A field without a row of its own has the default limit,
 * and a repeated field without one is refused: nothing is unbounded by oversight. */
#ifndef NODE_PROTOCOL_H
#define NODE_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "node/protocol.pb-c.h"
#include "runtime/error.h"

#define NODE_PROTOCOL_VERSION 1u

/* Whole messages; both lie below URD_RPC_FRAME_BYTES_MAX. */
#define NODE_REQUEST_BYTES_MAX (20u << 20)
#define NODE_REPLY_BYTES_MAX   (20u << 20)

/* What lists hold at most. */
#define NODE_TOKENS_MAX     17u    /* the capability and 16 discharges */
#define NODE_CONTEXT_MAX    16u    /* pairs of custom context */
#define NODE_CAUSES_MAX     8u     /* beneath an error */
#define NODE_LABELS_MAX     32u    /* a list filters by */
#define NODE_SAGAS_MAX      1000u  /* of one list */
#define NODE_RECORDS_MAX    4096u  /* of one history or watch answer */
#define NODE_ACTIONS_MAX    64u    /* one worker serves */
#define NODE_DISPATCHES_MAX 256u   /* taken, or answered, in one request */
#define NODE_RUNNING_MAX    4096u  /* dispatches one heartbeat keeps alive */
#define NODE_ENDED_MAX      4096u  /* sagas asked about in one request */
#define NODE_ENTRIES_MAX    1000u  /* of one directory listing */
#define NODE_RANGES_MAX     16384u /* finished blocks; one that needs more leaves some out */
#define NODE_CAVEATS_MAX    64u    /* asked for in one mint */
#define NODE_REVOKED_MAX    1000u  /* of one page of the revoked set */
#define NODE_MEMBERS_MAX    256u   /* nodes of a cluster */
#define NODE_FACTS_MAX      1024u  /* pushed or pulled at once */
#define NODE_BUDGETS_MAX    32u    /* `uses` and `rate` caveats of one token */
#define NODE_HOPS_MAX       1u     /* a request is passed on once, to a home */

/* Bytes of what is not a mere name. */
#define NODE_STRING_BYTES_MAX    255u /* any string without a limit of its own */
#define NODE_BYTES_BYTES_MAX     64u  /* any bytes without a limit of their own */
#define NODE_REQUEST_ID_MIN      16u
#define NODE_REQUEST_ID_MAX      32u
#define NODE_ID_BYTES            16u /* dispatch, worker, store, transfer, invite, token */
#define NODE_SECRET_BYTES        32u
#define NODE_DIGEST_BYTES        32u
#define NODE_TOKEN_BYTES_MAX     65536u
#define NODE_PREDICATE_BYTES_MAX 4096u
#define NODE_DOCUMENT_BYTES_MAX  (10u << 20) /* of a saga */
#define NODE_INPUT_BYTES_MAX                                                                       \
    (4u << 20) /* of a dispatched step; an undo's holds input and result                           \
                */
#define NODE_RESULT_BYTES_MAX   (1u << 20)  /* of a step; of a signal's payload */
#define NODE_VIEW_BYTES_MAX     (16u << 20) /* one saga, or one record, as JSON */
#define NODE_MESSAGE_BYTES_MAX  4096u       /* a sentence, a reason, a note */
#define NODE_PATH_BYTES_MAX     4095u
#define NODE_MANIFEST_BYTES_MAX (16u << 20)
#define NODE_DIGESTS_BYTES_MAX  (256u << 10) /* one batch of 4096 block digests */
#define NODE_PEM_BYTES_MAX      16384u
#define NODE_CSR_BYTES_MAX      4096u
#define NODE_URL_BYTES_MAX      320u
#define NODE_STATUS_BYTES_MAX   (4u << 20)
#define NODE_GRANT_BYTES_MAX    (1u << 20)

/* How long a long poll waits at most, and what an asker that names no deadline gets. */
#define NODE_LONG_POLL_MS_MAX    60000u
#define NODE_DEADLINE_MS_DEFAULT 10000u
/* A request still waiting this long before its asker gives up is answered, so that the answer gets
 * there. */
#define NODE_DEADLINE_MS_MARGIN 100u

/* Times that mean "never". */
#define NODE_NEVER_MS UINT64_MAX

/* Does every field of @request keep its limits, and is it small enough to send?  @errmsg (may be
 * NULL) names the field.  Errors: URD_E_TOO_BIG too long or too many; URD_E_INVALID too short, not
 * UTF-8, a value outside its enum; URD_E_VERSION; URD_E_UNSUPPORTED no body. */
URD_MUST_USE urd_err node_request_check(const Urd__V1__Request *request, char *errmsg,
                                        size_t errmsg_len);
/* The same for a reply; one with neither error nor body is URD_E_INVALID. */
URD_MUST_USE urd_err node_reply_check(const Urd__V1__Reply *reply, char *errmsg, size_t errmsg_len);

/* Check @request and write it.  *@ret_bytes holds tokens: wipe it with node_bytes_free().
 * Errors: node_request_check()'s; URD_E_NOMEM. */
URD_MUST_USE urd_err node_request_encode(const Urd__V1__Request *request, uint8_t **ret_bytes,
                                         size_t *ret_bytes_len, char *errmsg, size_t errmsg_len);
URD_MUST_USE urd_err node_reply_encode(const Urd__V1__Reply *reply, uint8_t **ret_bytes,
                                       size_t *ret_bytes_len, char *errmsg, size_t errmsg_len);
/* Wipe and free what an encode wrote; NULL is allowed. */
void node_bytes_free(uint8_t *bytes, size_t bytes_len);

/* Read a request from untrusted bytes; the memory it takes is bounded by a small multiple of
 * theirs.
 * *@ret is given back with node_request_free().
 * Errors: URD_E_INVALID not a message; URD_E_TOO_BIG; URD_E_NOMEM; node_request_check()'s.  On
 * URD_E_UNSUPPORTED or URD_E_VERSION a newer asker may be at fault. */
URD_MUST_USE urd_err node_request_decode(const uint8_t *bytes, size_t bytes_len,
                                         Urd__V1__Request **ret, char *errmsg, size_t errmsg_len);
URD_MUST_USE urd_err node_reply_decode(const uint8_t *bytes, size_t bytes_len, Urd__V1__Reply **ret,
                                       char *errmsg, size_t errmsg_len);
/* Wipe the tokens and secrets in it, and free it; NULL is allowed. */
void node_request_free(Urd__V1__Request *request);
void node_reply_free(Urd__V1__Reply *reply);

/* What @reply says: URD_OK, or its error, with the sentence copied to @errmsg (may be NULL).  A
 * code that this build does not know is URD_E_VERSION. */
urd_err node_reply_result(const Urd__V1__Reply *reply, char *errmsg, size_t errmsg_len);

/* Make @text fit for a string field, in place: what is not UTF-8 or a control byte becomes '?', and
 * it is cut to @bytes_max bytes without the NUL. */
void node_text_clean(char *text, size_t bytes_max);

/* Is @path a clean relative path: parts of 1 .. 255 bytes that are not '.' or '..', '/' between, no
 * NUL?  The empty path is the root itself and is clean. */
bool node_path_ok(const uint8_t *path, size_t path_len);

#endif
