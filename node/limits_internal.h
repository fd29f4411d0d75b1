/* node/limits_internal.h -- the bounds of every field of the protocol. */
#ifndef NODE_LIMITS_INTERNAL_H
#define NODE_LIMITS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct node_limit {
    uint32_t min, max;             /* bytes of a string or bytes; messages: min 1 is "required" */
    uint32_t count_min, count_max; /* of a repeated field */
    bool may_be_empty;             /* nothing at all is fine too */
    bool own;                      /* it has a row of its own */
};

/* The limit of @field of @message; the default where the table has no row. */
struct node_limit node_limit_of(const ProtobufCMessageDescriptor *message,
                                const ProtobufCFieldDescriptor *field);

/* How many rows of the table name a field that the schema does not have: none, or the table has a
 * slip in it. */
unsigned node_limits_strays(void);

#endif
