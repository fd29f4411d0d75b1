/* fountain/codec/tables_internal.h -- the constant tables of RFC 6330. */
#ifndef FOUNTAIN_CODEC_TABLES_INTERNAL_H
#define FOUNTAIN_CODEC_TABLES_INTERNAL_H

#include <stdint.h>

#define URD_FOUNTAIN_TABLE2_ROWS 477
#define URD_FOUNTAIN_DEGREE_MAX  30

/* One row of section 5.6, table 2: what follows from K'. */
struct urd_fountain_table2_row {
    uint16_t k_prime;
    uint16_t j;
    uint16_t s;
    uint16_t h;
    uint16_t w;
};

/* Ascending in k_prime. */
extern const struct urd_fountain_table2_row urd_fountain_table2[URD_FOUNTAIN_TABLE2_ROWS];

/* Section 5.5: V0 .. V3. */
extern const uint32_t urd_fountain_v[4][256];

/* Section 5.3.5.2, table 1: f[0] .. f[30]. */
extern const uint32_t urd_fountain_degree[URD_FOUNTAIN_DEGREE_MAX + 1];

#endif
