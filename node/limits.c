/* One row a field that the defaults do not fit.  A row reads: message, field, bytes, items. */
#include "node/limits_internal.h"

#include <string.h>

#include "node/protocol.h"

struct row {
    const ProtobufCMessageDescriptor *message;
    const char *field;
    struct node_limit limit;
};

#define MESSAGE(name) &urd__v1__##name##__descriptor
/* Up to @most bytes; exactly @count; exactly or none; from @least to @most. */
#define UP_TO(most)        .max = (most)
#define EXACT(count)       .min = (count), .max = (count)
#define EXACT_OR_NO(count) .min = (count), .max = (count), .may_be_empty = true
#define FROM(least, most)  .min = (least), .max = (most)
/* A repeated field: at most, at least one. */
#define MANY(most) .count_max = (most)
#define SOME(most) .count_min = 1, .count_max = (most)
#define REQUIRED   .min = 1
#define NAME       FROM(1, NODE_STRING_BYTES_MAX)

/* clang-format off */
static const struct row rows[] = {
    { MESSAGE(request), "request_id", { FROM(NODE_REQUEST_ID_MIN, NODE_REQUEST_ID_MAX) } },
    { MESSAGE(request), "tokens", { FROM(1, NODE_TOKEN_BYTES_MAX), MANY(NODE_TOKENS_MAX) } },
    { MESSAGE(request), "context", { MANY(NODE_CONTEXT_MAX) } },
    { MESSAGE(pair), "name", { FROM(1, 63) } },
    { MESSAGE(error), "code", { FROM(1, 63) } },
    { MESSAGE(error), "message", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },
    { MESSAGE(error), "causes", { MANY(NODE_CAUSES_MAX) } },
    { MESSAGE(cause), "message", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },

    { MESSAGE(saga_submit), "name", { NAME } },
    { MESSAGE(saga_submit), "document", { FROM(1, NODE_DOCUMENT_BYTES_MAX) } },
    { MESSAGE(saga_view), "json", { UP_TO(NODE_VIEW_BYTES_MAX) } },
    { MESSAGE(saga_show), "id", { NAME } },
    { MESSAGE(saga_history), "id", { NAME } },
    { MESSAGE(saga_record), "json", { UP_TO(NODE_VIEW_BYTES_MAX) } },
    { MESSAGE(saga_history_reply), "records", { MANY(NODE_RECORDS_MAX) } },
    { MESSAGE(saga_list), "states", { MANY(8) } },
    { MESSAGE(saga_list), "labels", { MANY(NODE_LABELS_MAX) } },
    { MESSAGE(saga_list_reply), "sagas", { MANY(NODE_SAGAS_MAX) } },
    { MESSAGE(saga_watch), "id", { NAME } },
    { MESSAGE(saga_watch_reply), "records", { MANY(NODE_RECORDS_MAX) } },
    { MESSAGE(saga_wait), "id", { NAME } },
    { MESSAGE(saga_cancel), "id", { NAME } },
    { MESSAGE(saga_cancel), "reason", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },
    { MESSAGE(saga_pause), "id", { NAME } },
    { MESSAGE(saga_resume), "id", { NAME } },
    { MESSAGE(saga_signal), "id", { NAME } },
    { MESSAGE(saga_signal), "name", { NAME } },
    { MESSAGE(saga_signal), "payload", { UP_TO(NODE_RESULT_BYTES_MAX) } },
    { MESSAGE(saga_resolve), "id", { NAME } },
    { MESSAGE(saga_resolve), "step", { NAME } },
    { MESSAGE(saga_resolve), "result", { UP_TO(NODE_RESULT_BYTES_MAX) } },
    { MESSAGE(saga_resolve), "note", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },
    { MESSAGE(saga_complete), "effect_key", { NAME } },
    { MESSAGE(saga_complete), "answer", { REQUIRED } },

    { MESSAGE(answer), "result", { UP_TO(NODE_RESULT_BYTES_MAX) } },
    { MESSAGE(answer), "reason", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },
    { MESSAGE(dispatch), "dispatch_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(dispatch), "effect_key", { NAME } },
    { MESSAGE(dispatch), "input", { UP_TO(NODE_INPUT_BYTES_MAX) } },
    { MESSAGE(dispatch), "token", { UP_TO(NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(worker_answer), "dispatch_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_answer), "effect_key", { NAME } },
    { MESSAGE(worker_answer), "answer", { REQUIRED } },
    { MESSAGE(worker_take), "worker_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_take), "store_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_take), "actions", { NAME, SOME(NODE_ACTIONS_MAX) } },
    { MESSAGE(worker_take), "answers", { MANY(NODE_DISPATCHES_MAX) } },
    { MESSAGE(worker_answer_status), "dispatch_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_take_reply), "dispatches", { MANY(NODE_DISPATCHES_MAX) } },
    { MESSAGE(worker_take_reply), "answers", { MANY(NODE_DISPATCHES_MAX) } },
    { MESSAGE(worker_take_reply), "members", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(worker_take_reply), "token", { UP_TO(NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(worker_heartbeat), "worker_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_heartbeat), "actions", { NAME, SOME(NODE_ACTIONS_MAX) } },
    { MESSAGE(worker_heartbeat), "running", { EXACT(NODE_ID_BYTES), MANY(NODE_RUNNING_MAX) } },
    { MESSAGE(worker_heartbeat_reply), "dropped", { EXACT(NODE_ID_BYTES), MANY(NODE_RUNNING_MAX) } },
    { MESSAGE(worker_ended), "store_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(worker_ended), "actions", { NAME, SOME(NODE_ACTIONS_MAX) } },
    { MESSAGE(worker_ended), "saga_ids", { NAME, MANY(NODE_ENDED_MAX) } },
    { MESSAGE(worker_ended_reply), "ended", { NAME, MANY(NODE_ENDED_MAX) } },
    { MESSAGE(worker_ended_reply), "unknown", { NAME, MANY(NODE_ENDED_MAX) } },

    { MESSAGE(file_locate), "node", { NAME } },
    { MESSAGE(file_locate), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_locate_reply), "token", { UP_TO(NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(file_terms), "offer", { FROM(1, 255) } },
    { MESSAGE(file_terms), "address", { UP_TO(NODE_URL_BYTES_MAX) } },
    { MESSAGE(file_terms), "extra", { UP_TO(4096) } },
    { MESSAGE(file_offer), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_offer), "manifest", { FROM(1, NODE_MANIFEST_BYTES_MAX) } },
    { MESSAGE(file_offer), "transfer_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(file_offer), "terms", { REQUIRED } },
    { MESSAGE(file_offer), "group_key", { EXACT_OR_NO(NODE_SECRET_BYTES) } },
    { MESSAGE(file_offer), "group_address", { UP_TO(NODE_URL_BYTES_MAX) } },
    { MESSAGE(file_offer_reply), "terms", { REQUIRED } },
    { MESSAGE(file_offer_reply), "finished", { MANY(NODE_RANGES_MAX) } },
    { MESSAGE(file_offer_reply), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_offer_digests), "batch", { FROM(1, NODE_DIGESTS_BYTES_MAX) } },
    { MESSAGE(file_finish_reply), "root_digest", { EXACT_OR_NO(NODE_DIGEST_BYTES) } },
    { MESSAGE(file_finish_reply), "missing", { MANY(NODE_RANGES_MAX) } },
    { MESSAGE(file_open), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_open), "terms", { REQUIRED } },
    { MESSAGE(file_open), "finished", { MANY(NODE_RANGES_MAX) } },
    { MESSAGE(file_open), "root_digest", { EXACT_OR_NO(NODE_DIGEST_BYTES) } },
    { MESSAGE(file_open_reply), "terms", { REQUIRED } },
    { MESSAGE(file_open_reply), "manifest", { FROM(1, NODE_MANIFEST_BYTES_MAX) } },
    { MESSAGE(file_open_reply), "transfer_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(file_open_digests_reply), "batch", { UP_TO(NODE_DIGESTS_BYTES_MAX) } },
    { MESSAGE(file_info), "name", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_info), "target", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_info), "digest", { EXACT_OR_NO(NODE_DIGEST_BYTES) } },
    { MESSAGE(file_ls), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_ls), "after", { UP_TO(255) } },
    { MESSAGE(file_ls_reply), "entries", { MANY(NODE_ENTRIES_MAX) } },
    { MESSAGE(file_stat), "path", { UP_TO(NODE_PATH_BYTES_MAX) } },
    { MESSAGE(file_rm), "path", { FROM(1, NODE_PATH_BYTES_MAX) } },

    { MESSAGE(cap_mint), "caveats", { FROM(1, NODE_PREDICATE_BYTES_MAX), MANY(NODE_CAVEATS_MAX) } },
    { MESSAGE(cap_mint_reply), "token", { FROM(1, NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(cap_revoke), "tokens", { FROM(1, NODE_TOKEN_BYTES_MAX), MANY(NODE_TOKENS_MAX) } },
    { MESSAGE(cap_revoke), "root_key_id", { EXACT_OR_NO(8) } },
    { MESSAGE(cap_revoke), "reason", { UP_TO(NODE_STRING_BYTES_MAX) } },
    { MESSAGE(cap_revoke_reply), "nodes", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(cap_revoked_reply), "entries", { MANY(NODE_REVOKED_MAX) } },
    { MESSAGE(cap_verify), "tokens", { FROM(1, NODE_TOKEN_BYTES_MAX), SOME(NODE_TOKENS_MAX) } },
    { MESSAGE(cap_verify), "action", { NAME } },
    { MESSAGE(cap_verify), "resource", { FROM(1, 2048) } },
    { MESSAGE(cap_verify), "context", { MANY(NODE_CONTEXT_MAX) } },
    { MESSAGE(cap_verify_reply), "message", { UP_TO(NODE_MESSAGE_BYTES_MAX) } },
    { MESSAGE(cap_rotate_reply), "root_key_id", { EXACT(8) } },

    { MESSAGE(node_status_reply), "json", { UP_TO(NODE_STATUS_BYTES_MAX) } },
    { MESSAGE(member), "name", { FROM(1, 63) } },
    { MESSAGE(member), "rpc_url", { UP_TO(NODE_URL_BYTES_MAX) } },
    { MESSAGE(member), "data_address", { UP_TO(NODE_URL_BYTES_MAX) } },
    { MESSAGE(member), "peer_token_id", { EXACT_OR_NO(NODE_ID_BYTES) } },
    { MESSAGE(node_members_reply), "members", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(node_members_reply), "ca_pem", { UP_TO(NODE_PEM_BYTES_MAX) } },
    { MESSAGE(node_invite), "name", { UP_TO(63) } },
    { MESSAGE(node_invite), "caveats", { FROM(1, NODE_PREDICATE_BYTES_MAX), MANY(NODE_CAVEATS_MAX) } },
    { MESSAGE(node_invite_reply), "text", { UP_TO(2 * NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(node_join), "invite_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(node_join), "secret", { EXACT(NODE_SECRET_BYTES) } },
    { MESSAGE(node_join), "member", { REQUIRED } },
    { MESSAGE(node_join), "csr_der", { FROM(1, NODE_CSR_BYTES_MAX) } },
    { MESSAGE(node_join_reply), "ca_pem", { UP_TO(NODE_PEM_BYTES_MAX) } },
    { MESSAGE(node_join_reply), "cert_pem", { UP_TO(NODE_PEM_BYTES_MAX) } },
    { MESSAGE(node_join_reply), "ca_key_der", { UP_TO(1024) } },
    { MESSAGE(node_join_reply), "peer_token", { FROM(1, NODE_TOKEN_BYTES_MAX) } },
    { MESSAGE(node_join_reply), "facts", { MANY(NODE_FACTS_MAX) } },
    { MESSAGE(node_verify_reply), "json", { UP_TO(NODE_STATUS_BYTES_MAX) } },
    { MESSAGE(node_backup), "path", { FROM(1, NODE_PATH_BYTES_MAX) } },
    { MESSAGE(node_expel), "name", { FROM(1, 63) } },

    { MESSAGE(fact), "origin", { FROM(1, 63) } },
    { MESSAGE(revocation), "token_id", { EXACT_OR_NO(NODE_ID_BYTES) } },
    { MESSAGE(revocation), "link", { EXACT_OR_NO(NODE_ID_BYTES) } },
    { MESSAGE(revocation), "root_key_id", { EXACT_OR_NO(8) } },
    { MESSAGE(root_key), "id", { EXACT(8) } },
    { MESSAGE(root_key), "secret", { EXACT(NODE_SECRET_BYTES) } },
    { MESSAGE(reached), "origin", { FROM(1, 63) } },
    { MESSAGE(peer_heartbeat), "self", { REQUIRED } },
    { MESSAGE(peer_heartbeat), "reached", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(peer_heartbeat_reply), "self", { REQUIRED } },
    { MESSAGE(peer_heartbeat_reply), "reached", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(peer_push), "facts", { MANY(NODE_FACTS_MAX) } },
    { MESSAGE(peer_push_reply), "reached", { MANY(NODE_MEMBERS_MAX) } },
    { MESSAGE(peer_pull), "origin", { FROM(1, 63) } },
    { MESSAGE(peer_pull_reply), "facts", { MANY(NODE_FACTS_MAX) } },
    { MESSAGE(budget), "key", { EXACT(NODE_SECRET_BYTES) } },
    { MESSAGE(peer_spend), "token_id", { EXACT(NODE_ID_BYTES) } },
    { MESSAGE(peer_spend), "budgets", { SOME(NODE_BUDGETS_MAX) } },
    { MESSAGE(peer_spend), "identity", { EXACT(NODE_DIGEST_BYTES) } },
    { MESSAGE(peer_operate), "thing", { FROM(1, 2048) } },
    { MESSAGE(peer_operate), "dispatch", { REQUIRED } },
    { MESSAGE(peer_operate), "grant", { UP_TO(NODE_GRANT_BYTES_MAX) } },
    { MESSAGE(peer_operate_reply), "answer", { REQUIRED } },
    { MESSAGE(peer_certify), "csr_der", { FROM(1, NODE_CSR_BYTES_MAX) } },
    { MESSAGE(peer_certify_reply), "cert_pem", { FROM(1, NODE_PEM_BYTES_MAX) } },
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

struct node_limit node_limit_of(const ProtobufCMessageDescriptor *message,
                                const ProtobufCFieldDescriptor *field)
{
    struct node_limit limit = { 0 };
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].message == message && strcmp(rows[i].field, field->name) == 0) {
            limit = rows[i].limit;
            limit.own = true;
            break;
        }
    }
    if (limit.max == 0) {
        limit.max =
            field->type == PROTOBUF_C_TYPE_STRING ? NODE_STRING_BYTES_MAX : NODE_BYTES_BYTES_MAX;
    }
    return limit;
}

unsigned node_limits_strays(void)
{
    unsigned strays = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (protobuf_c_message_descriptor_get_field_by_name(rows[i].message, rows[i].field) == NULL)
            strays++;
    return strays;
}
