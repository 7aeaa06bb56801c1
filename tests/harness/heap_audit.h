// tests/harness/heap_audit.h: a heap seen from inside, nobody else at work: every page is in one run, every block somebody's
// or free.
#pragma once

#include <stdio.h>

#include "core/heap_internal.h"

struct heap_account {
  uint64_t pages, free_pages, held, blocks;  // held: pages of whole runs; blocks: small ones
  uint32_t slabs, strangers;                 // strangers: what belongs to none of the living
};

static inline const char *heap_wrong_(char *text, const char *what, uint64_t page, uint64_t w) {
  snprintf(text, 128, "page %llu: %s: %llx", (unsigned long long)page, what, (unsigned long long)w);
  return text;
}

static inline int heap_is_strange_(struct shoal_heap *heap, uint64_t w) {
  uint32_t owner = shoal_word_owner_(w), place = SHOAL_PLACE_OF_(owner);
  if (shoal_word_kind_(w) == OBJECT) return shoal_directory_lost_(heap->seg, owner & 0xfffff, owner >> 20);
  if (shoal_word_kind_(w) != PROCESS && shoal_word_kind_(w) != SLAB) return 0;
  if (shoal_word_kind_(w) == SLAB && place == 0) return 0;
  if (place == 0 || place > heap->places) return 1;
  uint64_t who = shoal_load64_relaxed(&heap->shm->place[place - 1]);
  return SHOAL_OWNER_(place - 1, who) != owner || shoal_process_gone_(SHOAL_WHO_ID_(who));
}

static inline const char *heap_audit_slab_(struct shoal_heap *heap, const struct shoal_chunk_ *c, uint64_t page,
                                           struct heap_account *a, char *text) {
  unsigned class_ = shoal_slab_class_(c, page);
  if (class_ >= SHOAL_CLASSES_) return heap_wrong_(text, "a slab without a class", page, 0);
  a->slabs++;
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++) {
    uint64_t w = shoal_load64_acquire(&shoal_slab_words_(c, page)[i]);
    unsigned kind = shoal_word_kind_(w);
    if (kind != FREE && kind != CACHED && kind != PROCESS && kind != OBJECT)
      return heap_wrong_(text, "a block's word", page, w);
    a->blocks += kind == PROCESS || kind == OBJECT;
    a->strangers += heap_is_strange_(heap, w) != 0;
  }
  return NULL;
}

// NULL, or what is wrong. `text`: 128 bytes.
static inline const char *heap_audit(struct shoal_heap *heap, struct heap_account *a, char *text) {
  *a = (struct heap_account){0, 0, 0, 0, 0, 0};
  if (shoal_chunks_look_(heap)) return "chunks";
  for (uint32_t k = 0; k < shoal_chunks_(heap); k++) {
    struct shoal_chunk_ *c = &heap->chunk[k];
    uint64_t at = 0, n;
    for (; at < c->pages; at += n) {
      uint64_t w = shoal_load64_acquire(&c->page[at].owner);
      unsigned kind = shoal_word_kind_(w);
      const char *wrong = NULL;
      if (kind == INSIDE || kind >= CACHED) return heap_wrong_(text, "no run begins where one ended", at, w);
      n = shoal_run_pages_(c, at);
      if (n == 0) return heap_wrong_(text, "a run's length", at, w);
      for (uint64_t i = 1; i < n; i++)
        if (shoal_word_kind_(shoal_load64_acquire(&c->page[at + i].owner)) != INSIDE)
          return heap_wrong_(text, "a run within a run", at + i, w);
      if (kind == SLAB) wrong = heap_audit_slab_(heap, c, at, a, text);
      if (wrong) return wrong;
      a->free_pages += kind == FREE ? n : 0;
      a->held += kind == PROCESS || kind == OBJECT ? n : 0;
      a->strangers += heap_is_strange_(heap, w) != 0;
    }
    a->pages += c->pages;
  }
  return NULL;
}
