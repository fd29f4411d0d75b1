#include "saga/kinds.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const struct saga_kind_info kinds[SAGA_KIND_COUNT] = {
    [SAGA_KIND_RESERVE]    = { "Reserve",   true,  SAGA_UNDO_DOES,    true,  "quantity" },
    [SAGA_KIND_SEND]       = { "Send",      true,  SAGA_UNDO_DOES,    true,  "queue" },
    [SAGA_KIND_ACQUIRE]    = { "Acquire",   true,  SAGA_UNDO_DOES,    true,  "lease" },
    [SAGA_KIND_RENEW]      = { "Renew",     true,  SAGA_UNDO_NOTHING, true,  "lease" },
    [SAGA_KIND_CRDT_MERGE] = { "CrdtMerge", true,  SAGA_UNDO_DOES,    false, "object" },
    [SAGA_KIND_GRANT]      = { "Grant",     true,  SAGA_UNDO_DOES,    false, NULL },
    [SAGA_KIND_REVOKE]     = { "Revoke",    true,  SAGA_UNDO_NONE,    false, NULL },
    [SAGA_KIND_TRANSFER]   = { "Transfer",  true,  SAGA_UNDO_DOES,    false, NULL },
    [SAGA_KIND_COMMIT]     = { "Commit",    false, SAGA_UNDO_NONE,    true,  NULL },
    [SAGA_KIND_ABORT]      = { "Abort",     false, SAGA_UNDO_NONE,    true,  NULL },
    [SAGA_KIND_RELEASE]    = { "Release",   false, SAGA_UNDO_NONE,    true,  "lease" },
    [SAGA_KIND_RECEIVE]    = { "Receive",   false, SAGA_UNDO_DOES,    true,  "queue" },
    [SAGA_KIND_CONSUME]    = { "Consume",   false, SAGA_UNDO_DOES,    false, "quantity" },
    [SAGA_KIND_CHECK]      = { "Check",     false, SAGA_UNDO_NOTHING, false, NULL },
    [SAGA_KIND_JOIN]       = { "Join",      false, SAGA_UNDO_DOES,    false, NULL },
    [SAGA_KIND_CLOSE]      = { "Close",     false, SAGA_UNDO_NONE,    false, NULL },
};
/* clang-format on */

const struct saga_kind_info *saga_kind_info(enum saga_kind kind)
{
    assert(kind < SAGA_KIND_COUNT);
    return &kinds[kind];
}

bool saga_kind_from_name(const char *name, enum saga_kind *ret)
{
    assert(name != NULL);
    for (unsigned i = 0; i < SAGA_KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) != 0) continue;
        *ret = (enum saga_kind)i;
        return true;
    }
    return false;
}
