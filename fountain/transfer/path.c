/* unknown -> address (not validated, counted) -> challenge -> response -> validated
 *                ^                                                          |
 *                +------- the newest datagram comes from elsewhere ---------+
 *
 * Going back to the address proven last needs no new proof: otherwise one datagram with a forged
 * source, replayed faster than the original, would stall a transfer for a round trip at will. */
#include "fountain/transfer/path.h"

#include <sodium.h>
#include <string.h>

#define CHALLENGE_INTERVAL_NS UINT64_C(50000000)

void urd_fountain_path_init(struct urd_fountain_path *path, const struct urd_address *peer)
{
    *path = (struct urd_fountain_path){ .address = *peer };
}

static void path_move(struct urd_fountain_path *path, const struct urd_address *to)
{
    path->address = *to;
    path->validated = path->proven.len > 0 && urd_address_equal(to, &path->proven);
    path->bytes_in = 0;
    path->bytes_out = 0;
    path->challenge_ns = 0;
    path->challenge_set = false;
}

void urd_fountain_path_heard(struct urd_fountain_path *path, const struct urd_address *from,
                             size_t len, bool newest)
{
    if (!urd_address_equal(&path->address, from)) {
        if (!newest) return;
        path_move(path, from);
    }
    path->bytes_in += len;
}

bool urd_fountain_path_may_send(const struct urd_fountain_path *path, uint64_t now_ns, size_t len)
{
    if (path->address.len == 0) return false;
    if (path->validated) return true;
    if (path->bytes_in == 0)
        return path->contact_ns == 0 ||
               now_ns - path->contact_ns >= URD_FOUNTAIN_CONTACT_INTERVAL_NS;
    return path->bytes_out + len <= URD_FOUNTAIN_AMPLIFICATION_MAX * path->bytes_in;
}

void urd_fountain_path_sent(struct urd_fountain_path *path, uint64_t now_ns, size_t len)
{
    if (path->bytes_in == 0)
        path->contact_ns = now_ns;
    else
        path->bytes_out += len;
}

bool urd_fountain_path_challenge_due(const struct urd_fountain_path *path, uint64_t now_ns)
{
    if (path->address.len == 0 || path->validated) return false;
    if (path->challenge_ns != 0 && now_ns - path->challenge_ns < CHALLENGE_INTERVAL_NS)
        return false;
    return urd_fountain_path_may_send(path, now_ns,
                                      URD_FOUNTAIN_SEAL_LEN + 1 + URD_FOUNTAIN_CHALLENGE_LEN);
}

void urd_fountain_path_challenge(struct urd_fountain_path *path, uint64_t now_ns,
                                 const uint8_t fresh[static URD_FOUNTAIN_CHALLENGE_LEN],
                                 uint8_t ret[static URD_FOUNTAIN_CHALLENGE_LEN])
{
    if (!path->challenge_set) {
        memcpy(path->challenge, fresh, URD_FOUNTAIN_CHALLENGE_LEN);
        path->challenged_ns = now_ns;
        path->challenge_set = true;
    }
    path->challenge_ns = now_ns;
    memcpy(ret, path->challenge, URD_FOUNTAIN_CHALLENGE_LEN);
}

void urd_fountain_path_response(struct urd_fountain_path *path, uint64_t now_ns,
                                const struct urd_address *from,
                                const uint8_t response[static URD_FOUNTAIN_CHALLENGE_LEN])
{
    if (!path->challenge_set || !urd_address_equal(&path->address, from)) return;
    if (sodium_memcmp(path->challenge, response, URD_FOUNTAIN_CHALLENGE_LEN) != 0) return;
    if (!path->validated) /* the clocks of two turns: not before, whatever they say */
        path->rtt_ns = now_ns > path->challenged_ns ? now_ns - path->challenged_ns : 1;
    path->validated = true;
    path->proven = path->address;
}
