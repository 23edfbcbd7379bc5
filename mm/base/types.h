/*
 * The scalars that must not be mixed up, as wrapped types, and the few macros that everything uses.
 * gpa/gfn: a guest's physical byte address and page number. hpa/pfn: the host's.
 */
#ifndef MM_BASE_TYPES_H
#define MM_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef struct {
	u64 v;
} gpa_t;
typedef struct {
	u64 v;
} hpa_t;
typedef struct {
	u64 v;
} gfn_t;
typedef struct {
	u64 v;
} pfn_t;

#define PAGE_SHIFT        12
#define PAGE_BYTES        4096ull
#define REGION_SHIFT      21 /* a 2 MiB region: what one last-level table, or one large leaf, maps */
#define REGION_BYTES      (1ull << REGION_SHIFT)
#define REGION_PAGE_COUNT 512u

#define GPA(x) ((gpa_t){(x)})
#define HPA(x) ((hpa_t){(x)})
#define GFN(x) ((gfn_t){(x)})
#define PFN(x) ((pfn_t){(x)})

/* No frame. */
#define PFN_NONE       PFN(~0ull)
#define pfn_is_none(p) ((p).v == ~0ull)

static inline gfn_t gpa_to_gfn(gpa_t a)
{
	return GFN(a.v >> PAGE_SHIFT);
}
static inline gpa_t gfn_to_gpa(gfn_t f)
{
	return GPA(f.v << PAGE_SHIFT);
}
static inline pfn_t hpa_to_pfn(hpa_t a)
{
	return PFN(a.v >> PAGE_SHIFT);
}
static inline hpa_t pfn_to_hpa(pfn_t f)
{
	return HPA(f.v << PAGE_SHIFT);
}

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define ARRAY_COUNT(a)                (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)              ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)                ALIGN_DOWN((x) + (a)-1, a)
#define IS_ALIGNED(x, a)              (((x) & ((__typeof__(x))(a)-1)) == 0)
#define BIT(n)                        (1ull << (n))
#define BITS(hi, lo)                  ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define min(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define max(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

#define must_check             __attribute__((warn_unused_result))
#define noreturn_fn            __attribute__((noreturn))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define CACHE_LINE_BYTES       64

#endif
