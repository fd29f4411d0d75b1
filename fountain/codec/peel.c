/* Inactivation decoding, first phase (section 5.4.2.2), on the LT columns of the sparse rows.
 *
 * A row with one active column left becomes that column's pivot; the column leaves all other rows,
 * which may leave them with one, and so on.  When no such row is left a column is made inactive, to
 * be solved for with the dense part, and peeling goes on.
 *
 * Which one: rows with two active columns are edges of a graph, and once any vertex of a component
 * is solved or inactive the whole component peels.  So whenever peeling stops, every component is
 * either whole or gone, a union-find that only ever joins is exact, and one vertex of a largest
 * component is the best buy (the RFC's rule for r = 2).  Components wait in lists by the logarithm
 * of their size; an entry out of date is dropped when met.  The vertex taken is the one in most
 * rows: it is kept as the root. */
#include "fountain/codec/peel_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/arena_internal.h"

#define NONE      UINT16_MAX
#define SIZE_LOGS 17u    /* components have up to W < 2^16 columns */
#define ROWS_MAX  65535u /* rows, columns and list entries are numbered in 16 bits */

enum column_state { ACTIVE, SOLVED, INACTIVE };

struct work {
    struct urd_fountain_peel *peel;
    uint8_t *state;         /* by column, all L: enum column_state */
    uint16_t *active;       /* by row: active columns left */
    uint16_t *active_xor;   /* by row: their numbers, XORed: with one left, that one */
    uint32_t *column_start; /* LT columns: the rows of column c are */
    uint16_t *column_rows;  /* column_rows[column_start[c] .. column_start[c+1]) */
    uint16_t *ready;        /* stack of rows that came down to one active column */
    uint32_t ready_count;

    uint16_t *parent; /* union-find over LT columns; a root has itself */
    uint16_t *size;   /* of a root's component */
    uint16_t *entry_root;
    uint16_t *entry_next;
    uint32_t entries;
    uint16_t by_log[SIZE_LOGS]; /* first entry of the list of components of 2^i .. 2^(i+1)-1 */

    uint32_t inactive_max;
    uint32_t first_active; /* no active column stands before */
};

static void layout(struct work *w, struct urd_fountain_arena *arena, uint32_t columns_max)
{
    struct urd_fountain_peel *p = w->peel;
    const struct urd_fountain_code *code = p->code;
    p->row_start = urd_fountain_carve(arena, p->rows + 1, sizeof *p->row_start);
    p->row_solved = urd_fountain_carve(arena, p->rows, sizeof *p->row_solved);
    p->columns = urd_fountain_carve(arena, columns_max, sizeof *p->columns);
    p->pivot_row = urd_fountain_carve(arena, code->W, sizeof *p->pivot_row);
    p->pivot_column = urd_fountain_carve(arena, code->W, sizeof *p->pivot_column);
    p->inactive = urd_fountain_carve(arena, code->L, sizeof *p->inactive);
    p->left = urd_fountain_carve(arena, p->rows, sizeof *p->left);

    w->state = urd_fountain_carve(arena, code->L, sizeof *w->state);
    w->active = urd_fountain_carve(arena, p->rows, sizeof *w->active);
    w->active_xor = urd_fountain_carve(arena, p->rows, sizeof *w->active_xor);
    w->column_start = urd_fountain_carve(arena, code->W + 2, sizeof *w->column_start);
    w->column_rows = urd_fountain_carve(arena, columns_max, sizeof *w->column_rows);
    w->ready = urd_fountain_carve(arena, p->rows, sizeof *w->ready);
    w->parent = urd_fountain_carve(arena, code->W, sizeof *w->parent);
    w->size = urd_fountain_carve(arena, code->W, sizeof *w->size);
    w->entry_root = urd_fountain_carve(arena, code->W, sizeof *w->entry_root);
    w->entry_next = urd_fountain_carve(arena, code->W, sizeof *w->entry_next);
}

/* The rows, from LDPC relation and tuples. */
static void fill_rows(struct urd_fountain_peel *p, uint32_t columns_max)
{
    const struct urd_fountain_code *code = p->code;
    urd_fountain_ldpc_rows(code, p->row_start, p->columns);
    uint32_t end = p->row_start[code->S];
    for (uint32_t row = code->S; row < p->rows; row++) {
        end += urd_fountain_lt_row(code, p->given[row - code->S].isi, p->columns + end);
        p->row_start[row + 1] = end;
    }
    assert(end <= columns_max);
}

/* Their transpose, and each row's active columns. */
static void fill_columns(struct work *w)
{
    struct urd_fountain_peel *p = w->peel;
    uint32_t W = p->code->W;
    uint32_t *start = w->column_start + 1; /* shifted by one, so that filling leaves it in place */
    memset(w->column_start, 0, (W + 2) * sizeof *w->column_start);
    for (uint32_t row = 0; row < p->rows; row++) {
        uint16_t count = 0, sum = 0;
        for (uint32_t i = p->row_start[row]; i < p->row_start[row + 1]; i++) {
            uint16_t column = p->columns[i];
            if (column >= W) break; /* LT columns come first */
            start[column + 1]++;
            sum ^= column;
            count++;
        }
        w->active[row] = count;
        w->active_xor[row] = sum;
    }
    for (uint32_t column = 0; column < W; column++)
        start[column + 1] += start[column];
    for (uint32_t row = 0; row < p->rows; row++) {
        const uint16_t *columns = p->columns + p->row_start[row];
        for (uint32_t i = 0; i < w->active[row]; i++)
            w->column_rows[start[columns[i]]++] = (uint16_t)row;
    }
}

static uint32_t rows_of(const struct work *w, uint16_t column)
{
    return w->column_start[column + 1] - w->column_start[column];
}

static uint16_t find_root(struct work *w, uint16_t column)
{
    uint16_t *parent = w->parent;
    while (parent[column] != column) {
        parent[column] = parent[parent[column]];
        column = parent[column];
    }
    return column;
}

static unsigned log_of(uint32_t size)
{
    return 31u - (unsigned)__builtin_clz(size);
}

/* An edge: the components of @a and @b become one. */
static void join(struct work *w, uint16_t a, uint16_t b)
{
    a = find_root(w, a);
    b = find_root(w, b);
    if (a == b) return;
    if (rows_of(w, a) < rows_of(w, b)) {
        uint16_t other = a;
        a = b;
        b = other;
    }
    unsigned log_before = log_of(w->size[a]);
    w->parent[b] = a;
    w->size[a] = (uint16_t)(w->size[a] + w->size[b]);
    unsigned log = log_of(w->size[a]);
    if (log == log_before) return;

    uint16_t entry = (uint16_t)w->entries++; /* a join each at most: fewer than W */
    w->entry_root[entry] = a;
    w->entry_next[entry] = w->by_log[log];
    w->by_log[log] = entry;
}

/* @row has come down to two active columns. */
static void add_edge(struct work *w, uint32_t row)
{
    const uint16_t *column = w->peel->columns + w->peel->row_start[row];
    while (w->state[*column] != ACTIVE)
        column++;
    join(w, *column, *column ^ w->active_xor[row]);
}

/* @column is active no more: its rows have one active column less. */
static void remove_column(struct work *w, uint16_t column)
{
    for (uint32_t i = w->column_start[column]; i < w->column_start[column + 1]; i++) {
        uint16_t row = w->column_rows[i];
        w->active_xor[row] ^= column;
        w->active[row]--;
        if (w->active[row] == 1)
            w->ready[w->ready_count++] = row;
        else if (w->active[row] == 2)
            add_edge(w, row);
    }
}

static void peel_ready_rows(struct work *w)
{
    struct urd_fountain_peel *p = w->peel;
    while (w->ready_count > 0) {
        uint16_t row = w->ready[--w->ready_count];
        if (w->active[row] != 1) continue; /* another row solved its column meanwhile */
        uint16_t column = w->active_xor[row];
        p->pivot_row[p->pivots] = row;
        p->pivot_column[p->pivots++] = column;
        w->state[column] = SOLVED;
        remove_column(w, column);
    }
}

/* A vertex of a component whose size is the largest up to a factor of two; NONE without edges. */
static uint16_t largest_component(struct work *w)
{
    for (unsigned log = SIZE_LOGS; log-- > 1;) {
        for (; w->by_log[log] != NONE; w->by_log[log] = w->entry_next[w->by_log[log]]) {
            uint16_t root = w->entry_root[w->by_log[log]];
            if (w->state[root] == ACTIVE && w->parent[root] == root && log_of(w->size[root]) == log)
                return root;
        }
    }
    return NONE;
}

/* Without edges (rare): of the row with fewest active columns, the column in most rows; else any.
 * A scan of all rows, which the limit on inactive columns bounds. */
static uint16_t column_of_shortest_row(struct work *w)
{
    const struct urd_fountain_peel *p = w->peel;
    uint32_t shortest = p->rows;
    for (uint32_t row = 0; row < p->rows; row++)
        if (w->active[row] > 0 && (shortest == p->rows || w->active[row] < w->active[shortest]))
            shortest = row;

    uint16_t best = NONE;
    if (shortest < p->rows) {
        for (uint32_t i = p->row_start[shortest]; i < p->row_start[shortest + 1]; i++) {
            uint16_t column = p->columns[i];
            if (w->state[column] == ACTIVE &&
                (best == NONE || rows_of(w, column) > rows_of(w, best)))
                best = column;
        }
        return best;
    }
    while (w->state[w->first_active] != ACTIVE)
        w->first_active++;
    return (uint16_t)w->first_active;
}

static urd_err peel_all(struct work *w)
{
    struct urd_fountain_peel *p = w->peel;
    uint32_t W = p->code->W;
    for (uint32_t row = 0; row < p->rows; row++) {
        if (w->active[row] == 1)
            w->ready[w->ready_count++] = (uint16_t)row;
        else if (w->active[row] == 2)
            add_edge(w, row);
    }
    for (;;) {
        peel_ready_rows(w);
        if (p->pivots + p->inactive_count == W) break;
        if (p->inactive_count == w->inactive_max) return URD_E_SHORT;

        uint16_t column = largest_component(w);
        if (column == NONE) column = column_of_shortest_row(w);
        w->state[column] = INACTIVE;
        p->inactive[p->inactive_count++] = column;
        remove_column(w, column);
    }
    for (uint32_t column = W; column < p->code->L; column++)
        p->inactive[p->inactive_count++] = (uint16_t)column;
    return URD_OK;
}

/* Bring each row's columns into the order solved, inactive, own; collect the rows that are no
 * pivot. */
static void sort_rows(struct work *w)
{
    struct urd_fountain_peel *p = w->peel;
    uint16_t *own = w->active_xor; /* free by now */
    memset(own, 0xff, p->rows * sizeof *own);
    for (uint32_t i = 0; i < p->pivots; i++)
        own[p->pivot_row[i]] = p->pivot_column[i];

    for (uint32_t row = 0; row < p->rows; row++) {
        uint32_t start = p->row_start[row], end = p->row_start[row + 1];
        uint32_t solved = start;
        for (uint32_t i = start; i < end; i++) {
            uint16_t column = p->columns[i];
            if (w->state[column] != SOLVED) continue;
            p->columns[i] = p->columns[solved];
            p->columns[solved++] = column;
        }
        if (own[row] == NONE) {
            p->left[p->left_count++] = (uint16_t)row;
        } else {
            uint32_t at = start;
            while (p->columns[at] != own[row])
                at++;
            p->columns[at] = p->columns[--solved];
            p->columns[solved] = p->columns[end - 1];
            p->columns[end - 1] = own[row];
        }
        p->row_solved[row] = (uint16_t)(solved - start);
    }
}

/* Inactive columns beyond the permanent ones go with the square root of K': a fair channel needs
 * 1.5 * sqrt(K') of them, far below this. */
static uint32_t inactive_limit(uint32_t K_prime)
{
    uint32_t root = 1;
    while (root * root < K_prime)
        root++;
    return 8 * root + 256;
}

urd_err urd_fountain_peel_init(struct urd_fountain_peel *peel, const struct urd_fountain_code *code,
                               const struct urd_fountain_given *given, uint32_t given_count)
{
    *peel = (struct urd_fountain_peel){ .code = code, .given = given };
    peel->rows = code->S + given_count;
    assert(peel->rows <= ROWS_MAX && code->L <= ROWS_MAX);
    uint32_t columns_max = urd_fountain_ldpc_len(code) + given_count * URD_FOUNTAIN_LT_MAX;

    struct work w = { .peel = peel, .inactive_max = inactive_limit(code->K_prime) };
    struct urd_fountain_arena arena = { 0 };
    layout(&w, &arena, columns_max);
    if (!urd_fountain_arena_allocate(&arena)) return URD_E_NOMEM;
    layout(&w, &arena, columns_max);
    peel->memory = arena.base;

    memset(w.state, ACTIVE, code->W);
    memset(w.state + code->W, INACTIVE, code->P);
    memset(w.by_log, 0xff, sizeof w.by_log);
    for (uint32_t column = 0; column < code->W; column++) {
        w.parent[column] = (uint16_t)column;
        w.size[column] = 1;
    }
    fill_rows(peel, columns_max);
    fill_columns(&w);
    urd_err err = peel_all(&w);
    if (err != URD_OK) {
        urd_fountain_peel_done(peel);
        return err;
    }
    sort_rows(&w);
    return URD_OK;
}

void urd_fountain_peel_done(struct urd_fountain_peel *peel)
{
    free(peel->memory);
    peel->memory = NULL;
}
