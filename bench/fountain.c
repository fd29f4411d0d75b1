/* bench_fountain [--json] [--seconds S] [K ...]: how fast the codec is with symbols of 1280 bytes.
 *
 *   plan      the elimination for a K', which an encoder does once and keeps
 *   encode    a block's intermediate symbols, the plan being there
 *   repair    K repair symbols, the intermediate ones being there
 *   decode p  a block from K + 2 symbols at most, p % of its source symbols being lost
 *
 * MB/s of source data (10^6 bytes), the median of as many runs as fit in S seconds (default 0.5).
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fountain/codec/fountain.h"
#include "fountain/codec/gf256_internal.h"

#define T        1280u
#define RUNS_MAX 1000u
#define EXTRA    2u

static bool json;
static double seconds = 0.5;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench {
    uint32_t K;
    uint8_t *source;
    uint8_t *symbols; /* K + EXTRA of them */
    uint32_t *esis;
    struct urd_fountain_plan *plan;
    struct urd_fountain_encoder *encoder;
    struct urd_fountain_decoder *decoder;
};

static void must(urd_err err)
{
    if (err == URD_OK) return;
    (void)fprintf(stderr, "bench_fountain: %s\n", urd_err_text(err));
    exit(1);
}

static void run_plan(struct bench *b)
{
    struct urd_fountain_plan *plan;
    must(urd_fountain_plan_new(b->K, &plan));
    urd_fountain_plan_free(plan);
}

static void run_encode(struct bench *b)
{
    urd_fountain_encoder_reset(b->encoder, b->source);
    urd_fountain_encoder_prepare(b->encoder);
}

static void run_repair(struct bench *b)
{
    must(urd_fountain_encoder_symbols(b->encoder, b->esis, b->K, b->symbols, T));
}

static void run_decode(struct bench *b)
{
    urd_fountain_decoder_reset(b->decoder);
    for (uint32_t i = 0; i < b->K + EXTRA && !urd_fountain_decoder_complete(b->decoder); i++)
        must(urd_fountain_decoder_add(b->decoder, b->esis[i], b->symbols + (size_t)i * T, T));
    must(urd_fountain_decoder_solve(b->decoder));
}

static void measure(struct bench *b, const char *what, void (*run)(struct bench *b))
{
    static double took[RUNS_MAX];
    unsigned runs = 0;
    run(b); /* warm */
    for (double start = now(); runs < 3 || (runs < RUNS_MAX && now() - start < seconds);) {
        unsigned repeat =
            b->K < 1000 ? 1000 / b->K : 1; /* the clock costs as much as a small block */
        double from = now();
        for (unsigned i = 0; i < repeat; i++)
            run(b);
        took[runs++] = (now() - from) / repeat;
    }
    qsort(took, runs, sizeof *took, by_value);
    double median = took[runs / 2];
    double rate = (double)b->K * T / median / 1e6;
    if (json)
        (void)printf("{\"bench\":\"fountain\",\"what\":\"%s\",\"K\":%u,\"T\":%u,\"kernel\":\"%s\","
                     "\"mb_per_s\":%.1f,\"us\":%.2f,\"runs\":%u}\n",
                     what, b->K, T, urd_fountain_kernels_best()->name, rate, median * 1e6, runs);
    else
        (void)printf("%8u  %-12s %10.0f MB/s %12.1f us\n", b->K, what, rate, median * 1e6);
    (void)fflush(stdout);
}

/* Every symbol that arrives when @loss % of the source is lost, repair symbols filling up. */
static void measure_decode(struct bench *b, unsigned loss)
{
    uint32_t count = 0, random = 1;
    for (uint32_t i = 0; i < b->K; i++) {
        random = random * UINT32_C(1664525) + UINT32_C(1013904223);
        if ((random >> 8) % 100 >= loss) b->esis[count++] = i;
    }
    for (uint32_t esi = b->K; count < b->K + EXTRA; esi++)
        b->esis[count++] = esi;
    must(urd_fountain_encoder_symbols(b->encoder, b->esis, count, b->symbols, T));
    char what[32];
    (void)snprintf(what, sizeof what, "decode %u%%", loss);
    measure(b, what, run_decode);
    assert(memcmp(urd_fountain_decoder_source(b->decoder), b->source, (size_t)b->K * T) == 0);
}

static void bench(uint32_t K)
{
    struct bench b = { .K = K };
    b.source = malloc((size_t)K * T);
    b.symbols = malloc((size_t)(K + EXTRA) * T);
    b.esis = malloc((K + EXTRA) * sizeof *b.esis);
    if (b.source == NULL || b.symbols == NULL || b.esis == NULL) must(URD_E_NOMEM);
    for (size_t i = 0; i < (size_t)K * T; i++)
        b.source[i] = (uint8_t)(i * 2654435761u >> 13);
    for (uint32_t i = 0; i < K + EXTRA; i++)
        b.esis[i] = K + i;
    must(urd_fountain_plan_new(K, &b.plan));
    must(urd_fountain_encoder_new(K, T, b.source, b.plan, &b.encoder));
    must(urd_fountain_decoder_new(K, T, &b.decoder));

    measure(&b, "plan", run_plan);
    measure(&b, "encode", run_encode);
    measure(&b, "repair", run_repair);
    static const unsigned losses[] = { 0, 10, 50, 100 };
    for (unsigned i = 0; i < sizeof losses / sizeof *losses; i++)
        measure_decode(&b, losses[i]);

    urd_fountain_decoder_free(b.decoder);
    urd_fountain_encoder_free(b.encoder);
    urd_fountain_plan_free(b.plan);
    free(b.esis);
    free(b.symbols);
    free(b.source);
}

int main(int argc, char **argv)
{
    static const uint32_t usual[] = { 10, 100, 1000, 10000 };
    unsigned given = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtod(argv[++i], NULL);
        } else {
            unsigned long K = strtoul(argv[i], NULL, 10);
            if (K == 0 || K > URD_FOUNTAIN_K_MAX) {
                (void)fprintf(stderr, "usage: %s [--json] [--seconds S] [K ...]\n", argv[0]);
                return 2;
            }
            bench((uint32_t)K);
            given++;
        }
    }
    for (unsigned i = 0; given == 0 && i < sizeof usual / sizeof *usual; i++)
        bench(usual[i]);
    return 0;
}
