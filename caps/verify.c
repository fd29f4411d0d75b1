/* How a request is judged:
 *
 *     identifier -> root key -> chains (MACs) -> revoked? -> fresh? -> caveats -> grant, spends
 *
 * Each arrow may refuse; what stands right of it has then not been looked at.  Caveats are looked
 * at twice: once to judge them, all of them, and once those that were counted on, to build the
 * grant. */
#include "caps/verify.h"

#include <assert.h>
#include <string.h>

#include "caps/glob.h"
#include "caps/grant_internal.h"
#include "caps/token_internal.h"

struct judgement {
    const struct urd_caps_verifier *verifier;
    const struct urd_caps_request *request;
    struct urd_caps_identifier identifier;
    size_t glob_bytes_left; /* of patterns that are still matched: bounds the work of one
                               verification */
    struct urd_caps_grant *grant;
    struct urd_caps_spends *spends;
    urd_err err; /* while collecting */
    struct urd_caps_refusal *refusal;
};

static urd_err refuse(struct judgement *j, urd_err err, enum urd_caps_kind kind,
                      const char *message)
{
    if (j->refusal == NULL) return err;
    j->refusal->kind = kind;
    urd_caps_say(j->refusal->message, sizeof j->refusal->message, "%s", message);
    return err;
}

/* The same with the caveat's text, whose bytes are a stranger's. */
static urd_err refuse_caveat(struct judgement *j, urd_err err, enum urd_caps_kind kind,
                             const char *message, struct urd_caps_bytes text)
{
    char shown[160];
    size_t len = 0;
    for (; len < text.len && len < sizeof shown - 1; len++) {
        uint8_t c = text.data[len];
        shown[len] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    shown[len] = '\0';
    if (j->refusal != NULL) {
        j->refusal->kind = kind;
        urd_caps_say(j->refusal->message, sizeof j->refusal->message, "%s: `%s`%s", message, shown,
                     len < text.len ? "..." : "");
    }
    return err;
}

/* -- before the caveats --------------------------------------------------------------------------
 */

static urd_err check_request(struct judgement *j)
{
    const char *action = j->request->action, *resource = j->request->resource;
    if (action != NULL && !urd_caps_name_ok(URD_CAPS_GLOB_ACTION, action, strlen(action)))
        return refuse(j, URD_E_INVALID, URD_CAPS_REQUEST, "the action's name is not well-formed");
    if (resource != NULL && !urd_caps_name_ok(URD_CAPS_GLOB_RESOURCE, resource, strlen(resource)))
        return refuse(j, URD_E_INVALID, URD_CAPS_REQUEST, "the resource is not in canonical form");
    return URD_OK;
}

/* Decode the identifier, find its key, walk the chains, and see that the root's holds. */
static urd_err check_chain(struct judgement *j, const struct urd_caps_bundle *bundle,
                           struct urd_caps_chain **ret)
{
    struct urd_caps_bytes identifier = urd_caps_token_identifier(bundle->root);
    if (urd_caps_identifier_decode(identifier.data, identifier.len, &j->identifier) != URD_OK)
        return refuse(j, URD_E_INVALID, URD_CAPS_IDENTIFIER, "the token was not minted by Urd");
    const struct urd_caps_key *key =
        j->verifier->root_key(j->verifier->root_key_arg, j->identifier.root_key_id);
    if (key == NULL)
        return refuse(j, URD_E_DENIED, URD_CAPS_ROOT_KEY, "the token's root key is not known here");

    struct urd_caps_chain *chain;
    urd_err err = urd_caps_chain_new(key, bundle->root,
                                     (const struct urd_caps_token *const *)bundle->discharges,
                                     bundle->discharge_count, &chain);
    if (err == URD_E_TOO_BIG) return refuse(j, URD_E_DENIED, URD_CAPS_LIMIT, "too many discharges");
    if (err != URD_OK) return err;
    if (!urd_caps_chain_mac_holds(chain)) {
        urd_caps_chain_free(chain);
        return refuse(j, URD_E_DENIED, URD_CAPS_SIGNATURE, "the token's signature does not verify");
    }
    *ret = chain;
    return URD_OK;
}

static urd_err check_token(struct judgement *j)
{
    const struct urd_caps_request *r = j->request;
    if (j->verifier->revoked != NULL &&
        urd_caps_revoked_has_token(j->verifier->revoked, &j->identifier))
        return refuse(j, URD_E_REVOKED, URD_CAPS_TOKEN, "the token or its root key was revoked");
    if (r->max_stale_ns > 0 && r->home_heard_ago_ns > r->max_stale_ns)
        return refuse(j, URD_E_DENIED, URD_CAPS_FRESH,
                      "the minting node's revocations were not heard within revocation.max_stale");
    return URD_OK;
}

/* -- judging caveats -----------------------------------------------------------------------------
 */

static bool is_glob(enum urd_caps_kind kind)
{
    return kind == URD_CAPS_ACTION || kind == URD_CAPS_RESOURCE;
}

static bool link_revoked(const struct judgement *j, const struct urd_caps_predicate *p)
{
    return p->kind == URD_CAPS_LINK && j->verifier->revoked != NULL &&
           urd_caps_revoked_has_link(j->verifier->revoked, j->identifier.token_id, p->link);
}

static bool holds(void *arg, const struct urd_caps_site *site)
{
    struct judgement *j = arg;
    struct urd_caps_predicate p;
    if (urd_caps_predicate_parse(site->predicate, &p, NULL, 0) != URD_OK) return false;
    if (is_glob(p.kind)) {
        if (p.value.len > j->glob_bytes_left) return false;
        j->glob_bytes_left -= p.value.len;
    }
    if (link_revoked(j, &p)) return false;
    return urd_caps_predicate_holds(&p, j->request);
}

/* Say why the caveat @text, the first that did not hold, did not. */
static urd_err refused_by(struct judgement *j, struct urd_caps_bytes text)
{
    struct urd_caps_predicate p;
    if (urd_caps_predicate_parse(text, &p, NULL, 0) != URD_OK)
        return refuse_caveat(j, URD_E_DENIED, URD_CAPS_UNKNOWN, "unknown or malformed caveat",
                             text);
    if (link_revoked(j, &p))
        return refuse_caveat(j, URD_E_REVOKED, URD_CAPS_LINK,
                             "this branch of the token was revoked", text);
    if (is_glob(p.kind) && urd_caps_predicate_holds(&p, j->request))
        return refuse_caveat(j, URD_E_DENIED, URD_CAPS_LIMIT, "too many patterns, first unread",
                             text);
    return refuse_caveat(j, URD_E_DENIED, p.kind, "caveat does not hold", text);
}

static urd_err check_caveats(struct judgement *j, struct urd_caps_chain *chain)
{
    struct urd_caps_bytes refused = { NULL, 0 };
    switch (urd_caps_chain_evaluate(chain, holds, j, &refused)) {
    case URD_CAPS_CHAIN_HOLDS:
        return URD_OK;
    case URD_CAPS_CHAIN_PREDICATE:
        return refused_by(j, refused);
    case URD_CAPS_CHAIN_DISCHARGE:
        return refuse_caveat(j, URD_E_DENIED, URD_CAPS_THIRD_PARTY, "no discharge that holds for",
                             refused);
    case URD_CAPS_CHAIN_LIMIT:
        return refuse(j, URD_E_DENIED, URD_CAPS_LIMIT, "the discharges ask for too much work");
    case URD_CAPS_CHAIN_BAD_SIGNATURE:
        break;
    }
    return refuse(j, URD_E_DENIED, URD_CAPS_SIGNATURE, "the token's signature does not verify");
}

/* -- building the grant --------------------------------------------------------------------------
 */

/* A counter is known by a hash, so that a node that counts cannot mint from what it counts. */
static void counter_key(const uint8_t *signature, uint8_t *ret)
{
    static const char domain[] = "urd-caps-counter";
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, URD_CAPS_COUNTER_KEY_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)domain, sizeof domain);
    (void)crypto_generichash_update(&state, signature, URD_CAPS_SIGNATURE_BYTES);
    (void)crypto_generichash_final(&state, ret, URD_CAPS_COUNTER_KEY_BYTES);
}

static urd_err add_spend(struct judgement *j, const struct urd_caps_predicate *p,
                         const uint8_t *signature)
{
    if (j->spends->count == URD_CAPS_SPENDS_MAX) return URD_E_TOO_BIG;
    struct urd_caps_spend *spend = &j->spends->items[j->spends->count++];
    counter_key(signature, spend->counter_key);
    spend->count_max = p->count;
    spend->window_ns = p->kind == URD_CAPS_RATE ? p->duration_ns : 0;
    return URD_OK;
}

static bool collect(void *arg, const struct urd_caps_site *site)
{
    struct judgement *j = arg;
    struct urd_caps_predicate p;
    j->err = urd_caps_predicate_parse(site->predicate, &p, NULL, 0);
    assert(j->err == URD_OK); /* it held a moment ago */
    switch (p.kind) {
    case URD_CAPS_TIME_BEFORE:
        urd_caps_grant_expire(j->grant, p.time_s);
        break;
    case URD_CAPS_LINK:
        j->err = urd_caps_grant_add_link(j->grant, p.link);
        break;
    case URD_CAPS_ACTION:
        j->err = urd_caps_grant_add_action(j->grant, p.value);
        break;
    case URD_CAPS_RESOURCE:
        j->err = urd_caps_grant_add_resource(j->grant, p.value);
        break;
    case URD_CAPS_USES:
    case URD_CAPS_RATE:
        j->err = add_spend(j, &p, site->signature);
        break;
    default: /* about this request alone */
        break;
    }
    return j->err == URD_OK;
}

static urd_err build_grant(struct judgement *j, const struct urd_caps_chain *chain)
{
    urd_err err = urd_caps_grant_new(&j->identifier, &j->grant);
    if (err != URD_OK) return err;
    memcpy(j->spends->home, j->identifier.node, sizeof j->spends->home);
    if (urd_caps_chain_each(chain, collect, j)) return URD_OK;
    urd_caps_grant_free(j->grant);
    if (j->err == URD_E_NOMEM) return j->err;
    return refuse(j, URD_E_DENIED, URD_CAPS_LIMIT, "too many links, patterns or budgets");
}

urd_err urd_caps_verify(const struct urd_caps_verifier *verifier,
                        const struct urd_caps_bundle *bundle,
                        const struct urd_caps_request *request, struct urd_caps_grant **ret_grant,
                        struct urd_caps_spends *ret_spends, struct urd_caps_refusal *ret_refusal)
{
    struct urd_caps_spends spends = { .count = 0 };
    struct judgement j = { .verifier = verifier,
                           .request = request,
                           .glob_bytes_left = URD_CAPS_GRANT_GLOB_BYTES_MAX,
                           .spends = &spends,
                           .refusal = ret_refusal };
    struct urd_caps_chain *chain;
    urd_err err = check_request(&j);
    if (err != URD_OK) return err;
    err = check_chain(&j, bundle, &chain);
    if (err != URD_OK) return err;
    err = check_token(&j);
    if (err == URD_OK) err = check_caveats(&j, chain);
    if (err == URD_OK) err = build_grant(&j, chain);
    urd_caps_chain_free(chain);
    if (err != URD_OK) return err;
    *ret_grant = j.grant;
    *ret_spends = spends;
    return URD_OK;
}
