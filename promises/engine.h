/*
 * The engine's own structures.
 *
 * rule (as written) -> live_rule (in force) -> promise (one, or one an instance) -> tree of nodes -> leaves, each
 * watching one series. A sample goes series_watch -> leaf -> the nodes that use it -> up to the root, as far as
 * something changes. Names that are not there yet wait in a topic (a family) by instance; quantifiers and promisers
 * with a pattern listen at their topic.
 */
#ifndef KITH_PROMISES_ENGINE_H
#define KITH_PROMISES_ENGINE_H

#include <uthash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/names.h"
#include "model/model.h"
#include "promises/grammar.h"
#include "promises/promises.h"
#include "promises/syntax.h"
#include "promises/window.h"

/* A new instance counts in a quantifier with its first values, or as unknown after this long */
#define JOIN_WAIT (30 * NS_PER_S)
#define GATHER_WAIT NS_PER_S
/* Of promise.ground, behind the assessments */
#define GROUND_BLOCKED 3
#define ACTION_RETRY NS_PER_S /* after -EAGAIN */
#define COST_FIRST 16         /* evaluations that are measured each */
#define COST_EVERY 64         /* evaluations between two that are measured */

struct promise;
struct tree;
struct live_rule;

/* One part of a bound condition. Its value is what it was when its promise was last evaluated. */
struct node {
	const struct expr *e;
	struct node *parent;
	struct node *kids; /* contiguous */
	struct tree *tree;
	double number;     /* NaN: unknown */
	uint16_t n_kids;
	uint8_t truth;     /* enum kith_assessment */
	bool latched;      /* margin: the comparison failed (under `not`: held) last */
	bool attends;      /* it is a comparison by size: attention.c */
	bool near;         /* its two sides are close to one another */
	bool regular;      /* its function takes no samples that attention adds */
	union {
		struct {
			struct leaf *leaf;
			struct node *next_user; /* of EXPR_RECORDS: of all of them */
			struct window *window; /* calls, records */
			struct node *next_held;
		};
		struct quantifier *quantifier;
		struct {
			struct node *next_time; /* of the promise's list */
			int64_t at;             /* of EXPR_BETWEEN: when it changes next; 0: never */
		};
		double gap; /* of a comparison that attends: the left side less the right one; NaN: not known */
	};
};

enum leaf_state { LEAF_WAITING, LEAF_BOUND, LEAF_ENDED };

/* A series as a promise sees it */
struct leaf {
	struct series_watch watch;
	struct tree *tree;
	struct node *users;    /* names, and the calls over them */
	struct leaf *next;     /* of the tree */
	const struct series *series; /* while bound */
	const struct expr *e;  /* the name */
	enum leaf_state state;
	bool traced;           /* its series' trail is kept on its account */
	unsigned n_near;       /* comparisons that are near on its account */
	struct slot *slot;     /* where it waits; NULL: its instance is the tree's own */
	struct leaf *slot_next, **slot_link;
};

/* A condition bound to series: a promise's, or a quantifier's for one instance */
struct tree {
	struct promise *promise;
	struct node *over;     /* of a quantifier's tree: the quantifier; NULL: the promise's own */
	struct tree *next, **link; /* of the quantifier's */
	struct leaf *leaves;
	char *instance;        /* that SCOPE_QUANTIFIER means; NULL: none */
	struct instance *bound; /* the same, while it lives */
	bool joined, dead;
	uint8_t counted;       /* its truth as the quantifier has counted it */
	int64_t join_by;
	unsigned n_nodes, size;
	struct node nodes[];   /* [0] is the root */
};

struct quantifier {
	struct node *node;
	struct topic *topic;
	struct quantifier *next, **link; /* of the topic's listeners */
	struct tree *trees;
	unsigned n_trees, n_joined, counts[3]; /* of the joined, by enum kith_assessment */
	int64_t gather;        /* until then more may come that count as much as those that have; 0: all are there */
};

/* A family that promises name */
struct topic {
	UT_hash_handle hh;
	char *name;
	unsigned used;        /* by rules */
	struct slot *slots;   /* instances that are named */
	struct quantifier *quantifiers;
	struct live_rule **rules; /* that mention it */
	unsigned n_rules, size_rules;
};

struct slot {
	UT_hash_handle hh;
	struct topic *topic;
	struct leaf *leaves;
	char *name;
};

/* How often an action ran, and how it went */
struct action_state {
	const struct action *action;
	struct promise *promise;
	struct action_state *queue_next, **queue_link; /* queue_link NULL: in no queue */
	int64_t *times;       /* ring of `at_most` starts */
	unsigned n_times, next;
	unsigned held_back;
	bool running, waiting; /* waiting: to be run once it may, if the assessment is still the same */
	int64_t again;        /* when; 0: not armed */
	uint64_t runs, failures;
	int last_status;
	bool last_timed_out;
	int64_t last_time;    /* it ended; 0: never */
	char *last_output;    /* the first line that it wrote; NULL: none */
};

/* How often it broke lately: flapping.c */
struct flaps {
	int64_t at;           /* begin of the newest part; 0: it never broke */
	uint8_t breaks[10];   /* in parts of a minute, the newest last */
	bool flaps;
};

struct promise {
	struct promises *engine;
	struct live_rule *live;
	struct promise *next, **link; /* of the rule's */
	struct promise *next_ending, *next_late;
	struct tree *tree;
	char *promiser;
	char *instance;       /* of a promiser with a pattern; NULL: none */
	struct instance *bound;
	enum kith_assessment assessment;
	enum kith_assessment from;     /* before the last transition */
	enum kith_assessment definite; /* the last that was not unknown; unknown: none */
	uint8_t truth;        /* of the body, now */
	uint8_t ground;       /* what was decided last, by promise_ground() */
	bool repaired;
	unsigned mending; /* actions on broken that were started since it broke */
	bool assessed;        /* once at least */
	bool assessed_blocked; /* while `blocked` */
	struct promise *blocked; /* broken, or blocked itself: this one depends on it and is unknown; NULL: none */
	bool ending;          /* on the engine's list */
	bool late;            /* on the engine's other list: decided at the end of the round */
	bool shared;          /* trees of its own may watch one series several times */
	bool several;         /* it speaks of several series: judged once a round's samples are all in */
	bool dead;
	struct flaps flaps;
	int64_t since;
	int64_t pending;      /* grace or settle end; 0: neither runs */
	int64_t late_since;   /* while `late`: since when its body says what it says */
	int64_t at;           /* the earliest of all deadlines; 0: none */
	size_t heap_index;
	struct node *held;    /* nodes whose window moves with time */
	struct node *times;   /* EXPR_BETWEEN */
	void *mark;           /* the listener's */
	unsigned n_joining;
	struct action_state *actions;
	unsigned n_actions, n_running;
	uint64_t evaluations, cpu_ns, transitions, started, failures;
};

/* Rules by name */
struct named {
	UT_hash_handle hh;
	struct rule *rule;
};

struct live_rule {
	struct rule *rule;
	struct promise *promises, **tail;
	unsigned n_promises;
	bool applies;         /* `only on` says so */
	bool bound;
};

/* An action that runs */
struct run {
	struct run *next;
	uint64_t token;
	struct promise *promise; /* NULL: gone meanwhile */
	struct action_state *state;
	char *name, *promiser, *program;
};

/* What `only on` asks about */
struct facts {
	char *texts[N_FACTS]; /* "" unless it is a text, and known */
	double numbers[2];    /* from FACT_CPUS on */
	char **tags;
	size_t n_tags;
};

struct promises {
	struct model *model;
	struct promises_driver driver;
	struct promises_listener listener; /* functions may be NULL */
	struct model_observer observer;
	struct facts facts;
	char **receivers;     /* NULL: not known */
	size_t n_receivers;
	struct rules rules;
	struct topic *topics;
	struct promise **heap;
	size_t n_heap, size_heap;
	size_t n_promises;    /* room in the heap is kept for all of them */
	int64_t armed;
	int64_t now;          /* the latest time seen */
	bool loading;         /* what depends on another is assessed at the end */
	unsigned depth;       /* of calls that may evaluate: what ends meanwhile is freed at the end */
	struct promise *ending; /* lost a series of an instance that is on its way out: assessed when it is gone as a whole */
	struct promise *late, **late_tail; /* decided once all samples of this time are in */
	int64_t late_at;
	bool settling;        /* that is being done */
	struct promise *dead_promises;
	struct tree *dead_trees;
	struct node **work;   /* scratch of one evaluation */
	size_t size_work;
	struct node *records; /* EXPR_RECORDS */
	bool records_heard;   /* within a call: to be assessed at its end */
	struct run *runs;
	uint64_t token;
	/* queue.c: actions that wait for a place, or for the limit of all */
	struct action_state *queue, **queue_tail;
	int64_t queue_at;     /* when it is looked at next; 0: when a run ends */
	int64_t *starts;      /* ring of the last `starts_most` */
	unsigned starts_most, n_starts, next_start;
	int64_t starts_per;
	int64_t queue_said;   /* that some wait: once in starts_per */
	unsigned n_queue;
	unsigned queue_held;  /* most that waited for the limit of all, and nobody was told yet */
	/* for promises_get */
	struct promise **index;
	size_t n_index;
	bool index_valid;
	struct buf because, place;
	struct buf line;      /* for transitions */
};

/* ---- promises.c */
int rules_read(const struct promises *p, const struct promises_file *files, size_t n, struct rules *rules, struct faults *faults);

/* ---- facts.c */
int facts_copy(struct facts *to, const struct promises_facts *from); /* in place of what *to holds, which stays on -ENOMEM */
void facts_free(struct facts *f);
bool facts_hold(const struct facts *f, const struct expr *e);

/* ---- listen.c */
void listen_changed(struct promise *pr, int64_t time);
void listen_ended(struct promise *pr);
void receivers_check(const struct promises *p, const struct rule *r, struct faults *faults); /* warns of those that `tell` names and nobody defines */
void receivers_free(struct promises *p);

/* ---- records.c */
void records_begin(struct promises *p, struct node *node); /* an EXPR_RECORDS is bound */
void records_end(struct promises *p, struct node *node);
void records_hear(struct promises *p, const struct kith_record *record);
bool records_changed(struct node *node); /* its number is that of its window again */
void records_assess(struct promises *p); /* what was heard within a call of the engine's */

/* ---- calendar.c */
bool calendar_holds(const struct expr *e, int64_t now, int64_t *ret_next); /* *ret_next: when that changes, or may; 0: never */
void word_calendar(struct buf *b, const struct expr *e);

/* ---- topics.c */
struct topic *topic_find(struct promises *p, const char *family); /* NULL: no promise names it */
struct topic *topic_get(struct promises *p, const char *family);  /* makes it; NULL: out of memory */
void topic_drop_unused(struct promises *p, struct topic *t);
int topic_add_rule(struct topic *t, struct live_rule *live);
void topic_remove_rule(struct topic *t, const struct live_rule *live);
struct slot *slot_get(struct topic *t, const char *instance);     /* makes it; NULL: out of memory */
void slot_leave(struct leaf *leaf);                               /* fine when it waits nowhere; frees an empty slot */

/* ---- binding.c: trees, leaves, rules */
int rule_bind(struct promises *p, struct live_rule *live, int64_t now);
void rule_unbind(struct promises *p, struct live_rule *live);
void binding_family(struct promises *p, const struct family *family, bool begins);
void binding_instance(struct promises *p, struct instance *instance, bool begins);
void graveyard_clear(struct promises *p);
/* Bound and computed, not assessed yet */
int promise_new(struct promises *p, struct live_rule *live, struct instance *instance, int64_t now, struct promise **ret_promise);
void promise_end(struct promise *pr);
/* The instance that a name of this tree speaks of: "" nameless */
const char *leaf_instance(const struct tree *tree, const struct expr *name);

/* ---- evaluate.c */
bool compare_numbers(enum expr_op op, double a, double b);
void leaf_event(struct series_watch *watch, const struct series *series, enum series_event event);
void leaf_seed(struct leaf *leaf);       /* the users' values from the series as it stands */
void tree_compute(struct tree *tree);    /* all of it, from the leaves up */
void node_changed(struct node *node);    /* and what is above it */
void quantifier_join(struct node *node, struct tree *tree); /* the tree counts from now on */
unsigned quantifier_least(const struct node *node); /* how many must hold, of `some` */
void quantifier_leave(struct node *node, struct tree *tree);
void endings_assess(struct promises *p);
int64_t age_next(const struct node *node);
bool node_time(struct node *n, int64_t now); /* of EXPR_BETWEEN; true: it is another truth now */
bool tree_ready(const struct tree *tree); /* each leaf has had a value */
void promise_advance(struct promise *pr, int64_t now); /* windows and joining instances */

/* ---- attention.c */
bool attention_begin(const struct expr *e);            /* whether such a node attends */
bool attention_regular(const struct window_spec *spec); /* it takes none of the samples that attention adds */
void attention_turn(struct node *n, double gap, bool near);
void attention_leave(struct leaf *leaf);               /* its series goes; fine when it has none */
void word_attention(struct buf *b, const struct promise *pr);

#define NEAR_SHARE 0.05 /* of the threshold: so close to it is near */
#define NEAR_STAYS 1.25 /* once near, that many times as far */
#define NEAR_MOVES 4    /* or there in so many more moves as the last one */

/* The two sides of a comparison are others now. Most of the time nothing comes of it. */
static inline void attention_see(struct node *n, double a, double b)
{
	double gap = a - b, far = gap < 0 ? -gap : gap, close = (b < 0 ? -b : b) * NEAR_SHARE;
	double move = gap - n->gap;
	bool near;

	if (close < n->e->margin)
		close = n->e->margin;
	near = far <= (n->near ? close * NEAR_STAYS : close);
	if (near != n->near || (move < 0 ? -move : move) * NEAR_MOVES > far)
		attention_turn(n, gap, near);
	n->gap = gap;
}

/* ---- assess.c */
void promise_assess(struct promise *pr, int64_t time);
void promise_assess_ended(struct promise *pr, int64_t time);
void late_run(struct promises *p);
void late_remove(struct promises *p, struct promise *pr);
void promise_due(struct promise *pr, int64_t time); /* while pr->at <= time */
void promise_schedule(struct promise *pr); /* sets pr->at anew */
void promise_set(struct promise *pr, enum kith_assessment to, int64_t time, const char *because);
int heap_reserve(struct promises *p, size_t n);
void heap_remove(struct promises *p, struct promise *pr);
void engine_enter(struct promises *p);
void engine_leave(struct promises *p); /* arms the driver, frees what ended */

/* ---- flapping.c */
void flapping_broke(struct promise *pr, int64_t time); /* it was kept, and broke */
void flapping_due(struct promise *pr, int64_t time);   /* says the end of it */
int64_t flapping_next(const struct promise *pr);       /* when to look again; 0: it does not flap */
unsigned flapping_count(const struct promise *pr);     /* breaks in the last 10 min; 0: it does not flap */

/* ---- depends.c */
void depends_check(struct rules *rules, const struct named *names, struct faults *faults);
void depends_take(struct rule *keep, const struct rule *twin); /* of the same text: what its dependencies are now */
void depends_link(struct promises *p); /* p->rules, once they are in force */
void depends_assess(struct promises *p, int64_t now); /* all that are new, or depend on others than before */
void depends_begin(struct promise *pr);               /* one that is new, before its first assessment */
/* A promise of `r` has another assessment, or is gone */
void depends_changed(struct promises *p, const struct rule *r, int64_t time);
void word_blocked(struct buf *b, const struct promise *pr);
void word_depends(struct buf *b, const struct promise *pr);

/* ---- mend.c */
void actions_transition(struct promise *pr, enum kith_assessment from, int64_t time, const char *because);
void actions_due(struct promise *pr, int64_t time);
int64_t actions_next(const struct promise *pr);
void actions_forget(struct promises *p, struct promise *pr);

/* 0; -EAGAIN: no place, nothing of it was started */
int action_begin(struct promise *pr, struct action_state *s, enum kith_assessment from, int64_t time, const char *because);
void action_record(struct promise *pr, enum kith_priority priority, int64_t time, const char *program, const char *message);

/* ---- queue.c */
void queue_add(struct promises *p, struct action_state *s);
void queue_remove(struct promises *p, struct action_state *s); /* fine when it is in none */
void queue_hold(struct promises *p); /* the limit of all holds back what is in the queue now */
void queue_run(struct promises *p, int64_t time);
void queue_started(struct promises *p, int64_t time);
int64_t queue_opens(const struct promises *p, int64_t time); /* when the limit of all allows one more; 0: now */
void queue_jump(struct promises *p, int64_t jump);

/* ---- wording.c */
/* As written, with the tree's instances */
void word_expr(struct buf *b, const struct expr *e, const struct tree *tree);
void word_value(struct buf *b, const struct node *node);
void word_because(struct buf *b, const struct promise *pr); /* why it holds, fails or is unknown */
void word_unknown(struct buf *b, const struct node *node);
void word_duration(struct buf *b, int64_t ns);
void word_number(struct buf *b, double value, const char *unit);
void word_mend(struct buf *b, const struct promise *pr);

#endif
