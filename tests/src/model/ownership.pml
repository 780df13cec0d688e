/*
 * Who runs a consumer: leaders come and go and deal it out, workers take it over under a new epoch, run batches that commit late or
 * whose answers are lost, go silent, come back, and die.
 *
 * Every step is one statement, as the database executes it, or one thing that happens to a process. A process that stands still is
 * one whose turn does not come: nothing here depends on time, a time that runs out may do so at any moment. What each step stands for,
 * and what is left out: docs/model.md.
 */

/* Sizes; those of a whole check. */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EVENTS
#define EVENTS 2 /* events in the log, all settled */
#endif
#ifndef TERMS
#define TERMS 2 /* leaders in all */
#endif
#ifndef EPOCHS
#define EPOCHS 3 /* take-overs in all */
#endif
#ifndef CRASHES
#define CRASHES 1 /* processes killed */
#endif
#ifndef SILENCES
#define SILENCES 1 /* how often live workers are taken for dead */
#endif
#ifndef LOST
#define LOST 1 /* connections lost in the middle of a batch, and answers lost */
#endif

#define NOBODY WORKERS
/* Who holds the checkpoint's row: a worker's batch or take-over, or a batch whose worker waits for its answer no more. */
#define STRAY(w) (WORKERS + 1 + (w))
#define NAME(w) ((w) + 1)

/* A batch's transaction. Its worker hears of `committed` and `lost` later. */
mtype:batch = { none, begun, handled, saved, committing, committed, lost };

/* The leader's row and the assignment. */
byte term;
byte leaderRow = NOBODY; /* who has it locked */
byte assignee = NOBODY;
byte assignedIn; /* term */
bool graceIsOver;

/* The checkpoint's row. */
byte owner = NOBODY;
byte epoch;
byte position;
byte row = NOBODY; /* who has it locked */

/* Events whose effects are committed: all up to this one. */
byte applied;

/* Workers. */
bool registered[WORKERS] = true;
bool silent[WORKERS]; /* no heartbeat for too long */
bool crashed[WORKERS];
byte leads[WORKERS]; /* term in which it believes to lead */
byte held[WORKERS]; /* epoch under which it believes to own the consumer */
byte at[WORKERS]; /* how far it believes to have come */
bool draining[WORKERS];
mtype:batch batch[WORKERS];
byte upTo[WORKERS]; /* where its batch ends */

/* A batch of which its worker has given up hearing. */
bool stray[WORKERS];
byte strayFrom[WORKERS], strayTo[WORKERS], strayEpoch[WORKERS];

byte crashes, silences, losses;

#define IS_ALIVE(w) (registered[w] && !silent[w])

/* All workers are alike until one of them leads. */
#define IS_FIRST(w) (term > 0 || (w) == 0)
#define IS_UNDER_WAY(w) \
	(batch[w] == begun || batch[w] == handled || batch[w] == saved || batch[w] == committing)
#define MAY_CLAIM(w) (!crashed[w] && held[w] == 0 && !draining[w] && assignee == w && epoch < EPOCHS)
#define HAS_RIVAL(w) (owner != NOBODY && owner != w && IS_ALIVE(owner))
#define MAY_END(w) (owner != NOBODY && owner != w && (!IS_ALIVE(owner) || graceIsOver))
#define MAY_BEGIN(w) (!crashed[w] && held[w] > 0 && !draining[w] && batch[w] == none)

/* Sees in one snapshot who is there, and plans. */
inline survey(to) {
	plan = to;
	dead = (registered[0] && silent[0]) + 2 * (registered[1] && silent[1]);
#if WORKERS > 2
	dead = dead + 4 * (registered[2] && silent[2]);
#endif
	printf("worker %d, leader of term %d, plans to give the consumer to worker %d\n", NAME(w), leads[w], NAME(to))
}

inline strike_off(v) {
	if
	:: dead & (1 << v) ->
		registered[v] = false;
		printf("worker %d is struck off\n", NAME(v));
		if
		:: assignee == v -> assignee = NOBODY
		:: else
		fi
	:: else
	fi
}

inline write_plan() {
	printf("worker %d, leader of term %d, gives the consumer to worker %d\n", NAME(w), leads[w], NAME(plan));
	if
	:: leads[w] != term ->
		printf("BROKEN in term %d a leader of term %d deals\n", term, leads[w]);
		assert(false)
	:: else
	fi;
	strike_off(0);
	strike_off(1);
#if WORKERS > 2
	strike_off(2);
#endif
	if
	:: registered[plan] && assignee != plan ->
		assignee = plan;
		assignedIn = leads[w];
		graceIsOver = false
	:: else
	fi;
	leaderRow = NOBODY
}

/* One transaction: the leader's row is locked while it has the term, then the plan is written. */
inline deal() {
	if
#ifndef BREAK_TERM
	:: d_step { leaderRow == NOBODY && leads[w] != term ->
		printf("worker %d finds that it leads no more\n", NAME(w));
		leads[w] = 0
	  }
	:: d_step { leaderRow == NOBODY && leads[w] == term && !crashed[w] ->
		leaderRow = w;
		printf("worker %d locks the leader's row in term %d\n", NAME(w), leads[w])
	  }
	  if
	  :: d_step { !crashed[w] -> write_plan() }
	  :: d_step { crashed[w] -> leaderRow = NOBODY }
	  fi
#else
	:: d_step { !crashed[w] -> write_plan() }
#endif
	:: crashed[w]
	fi;
	d_step { plan = NOBODY; dead = 0 }
}

/* A leader's session. That there is only one at a time is not taken for granted: whoever stands for election may win. */
proctype Leader(byte w) {
	byte plan = NOBODY, dead;
end:
	do
	:: d_step { !crashed[w] && leads[w] == 0 && term < TERMS && leaderRow == NOBODY && IS_FIRST(w) ->
		term++;
		leads[w] = term;
		printf("worker %d leads, in term %d\n", NAME(w), term)
	  }
	:: d_step { !crashed[w] && leads[w] > 0 && IS_ALIVE(0) -> survey(0) }
	   deal()
	:: d_step { !crashed[w] && leads[w] > 0 && IS_ALIVE(1) -> survey(1) }
	   deal()
#if WORKERS > 2
	:: d_step { !crashed[w] && leads[w] > 0 && IS_ALIVE(2) -> survey(2) }
	   deal()
#endif
	od
}

/* A connection is gone; its worker will hear. */
inline lose_batch(v) {
	batch[v] = lost;
	if
	:: row == v -> row = NOBODY
	:: else
	fi
}

inline lose_stray(v) {
	stray[v] = false;
	strayFrom[v] = 0;
	strayTo[v] = 0;
	strayEpoch[v] = 0;
	row = NOBODY
}

inline take_over() {
#ifdef BREAK_EPOCH
	epoch = 1;
#else
	epoch++;
#endif
	owner = w;
	row = NOBODY;
	held[w] = epoch;
	at[w] = position;
	printf("worker %d takes the consumer over: epoch %d, at %d\n", NAME(w), epoch, position)
}

/* BEGIN and the fence: the epoch is looked at under the row's lock, which is kept. */
inline fence() {
	if
#ifdef BREAK_FENCE
	:: d_step { !crashed[w] ->
#else
	:: d_step { !crashed[w] && row == NOBODY ->
#endif
		if
#if defined(BREAK_POSITION) || defined(BREAK_EPOCH)
		:: epoch == held[w] ->
#else
		:: epoch == held[w] && position <= at[w] ->
#endif
			batch[w] = begun;
#ifndef BREAK_FENCE
			row = w;
#endif
			printf("worker %d begins a batch under epoch %d: (%d, %d]\n", NAME(w), held[w], at[w], upTo[w])
		:: else ->
			printf("worker %d is fenced: it has epoch %d at %d, the checkpoint has %d at %d\n", NAME(w), held[w], at[w], epoch, position);
			held[w] = 0;
			at[w] = 0;
			upTo[w] = 0
		fi
	  }
	:: crashed[w]
	fi
}

inline read_again() {
	upTo[w] = 0;
	if
	:: epoch != held[w] ->
		printf("worker %d reads the checkpoint again: another epoch\n", NAME(w));
		held[w] = 0;
		at[w] = 0
	:: else ->
		at[w] = (position > at[w] -> position : at[w]);
		printf("worker %d reads the checkpoint again: at %d\n", NAME(w), at[w])
	fi
}

/* A worker's loop of the consumer. */
proctype Loop(byte w) {
end:
	do
	/* Struck off, it registers again and begins anew. */
	:: d_step { !crashed[w] && !registered[w] ->
		registered[w] = true;
		silent[w] = false;
		draining[w] = held[w] > 0;
		printf("worker %d registers again\n", NAME(w))
	  }
	:: d_step { !crashed[w] && held[w] > 0 && assignee != w && !draining[w] ->
		draining[w] = true;
		printf("worker %d learns that the consumer is its no more\n", NAME(w))
	  }

	/* Take-over: the row's lock and what is judged by, then the epoch. */
	:: d_step { MAY_CLAIM(w) && row == NOBODY && !(HAS_RIVAL(w) && !graceIsOver) -> row = w }
	   if
	   :: d_step { !crashed[w] ->
		take_over()
	     }
	   :: d_step { crashed[w] -> row = NOBODY }
	   fi
	/* What keeps the row locked is ended when its owner is dead or overdue. */
	:: d_step { MAY_CLAIM(w) && MAY_END(w) && row == owner && IS_UNDER_WAY(owner) ->
		printf("worker %d ends the session that keeps the consumer locked\n", NAME(w));
		lose_batch(owner)
	  }
	:: d_step { MAY_CLAIM(w) && MAY_END(w) && row == STRAY(owner) ->
		printf("worker %d ends the session that keeps the consumer locked\n", NAME(w));
		lose_stray(owner)
	  }

	/* A batch. */
	:: d_step { MAY_BEGIN(w) && at[w] < EVENTS -> upTo[w] = at[w] + 1 }
	   fence()
	:: d_step { MAY_BEGIN(w) && at[w] + 1 < EVENTS -> upTo[w] = at[w] + 2 }
	   fence()
	:: d_step { !crashed[w] && batch[w] == begun ->
		batch[w] = handled;
		printf("worker %d handles events under epoch %d\n", NAME(w), held[w]);
		if
		:: epoch != held[w] ->
			printf("BROKEN a handler works under epoch %d while the present one is %d\n", held[w], epoch);
			assert(false)
		:: else
		fi
	  }
#ifdef BREAK_FENCE
	:: d_step { !crashed[w] && batch[w] == handled && row == NOBODY ->
#else
	:: d_step { !crashed[w] && batch[w] == handled ->
#endif
		if
		:: epoch == held[w] ->
			row = w;
			batch[w] = saved;
			printf("worker %d writes the checkpoint %d\n", NAME(w), upTo[w])
		:: else ->
			batch[w] = none;
			held[w] = 0;
			printf("worker %d finds another epoch: rolled back\n", NAME(w))
		fi
	  }
	:: d_step { !crashed[w] && batch[w] == saved ->
		batch[w] = committing;
		printf("worker %d sends COMMIT\n", NAME(w))
	  }
	:: d_step { !crashed[w] && batch[w] == committed ->
		at[w] = upTo[w];
		batch[w] = none;
		printf("worker %d learns that its batch has committed\n", NAME(w))
	  }
	/* The answer is lost: it may commit yet. The checkpoint is read again. */
	:: d_step { !crashed[w] && batch[w] == committing && !stray[w] && losses < LOST ->
		losses++;
		stray[w] = true;
		strayFrom[w] = at[w];
		strayTo[w] = upTo[w];
		strayEpoch[w] = held[w];
		row = STRAY(w);
		batch[w] = lost;
		printf("worker %d gives up waiting for the answer to its COMMIT\n", NAME(w))
	  }
	:: d_step { !crashed[w] && batch[w] == lost ->
		batch[w] = none;
		read_again()
	  }

	/* Hands it back. */
	:: d_step { !crashed[w] && draining[w] && batch[w] == none && (held[w] != epoch || row == NOBODY) ->
		if
		:: held[w] > 0 && held[w] == epoch -> owner = NOBODY
		:: else
		fi;
		held[w] = 0;
		at[w] = 0;
		draining[w] = false;
		printf("worker %d hands the consumer back\n", NAME(w))
	  }
	od
}

inline commit(v, from, to, under) {
	printf("the server commits the batch (%d, %d] of worker %d under epoch %d\n", from, to, NAME(v), under);
	if
	:: applied != from ->
		printf("BROKEN events up to %d have been applied before, and these follow on %d\n", applied, from);
		assert(false)
#ifndef BREAK_EPOCH /* The harm itself is to be seen. */
	:: owner != v || epoch != under ->
		printf("BROKEN a batch commits that is not the owner's: that is worker %d, under epoch %d\n", NAME(owner), epoch);
		assert(false)
#endif
	:: else
	fi;
	applied = to;
	position = to;
	row = NOBODY
}

/* The server's side of a worker's connections, and what happens to the worker. */
proctype Fate(byte w) {
end:
	do
	:: d_step { batch[w] == committing ->
		commit(w, at[w], upTo[w], held[w]);
		batch[w] = committed
	  }
	:: d_step { stray[w] ->
		commit(w, strayFrom[w], strayTo[w], strayEpoch[w]);
		lose_stray(w)
	  }
	:: d_step { stray[w] ->
		printf("the server rolls back the batch that worker %d has given up\n", NAME(w));
		lose_stray(w)
	  }
	:: d_step { IS_UNDER_WAY(w) && (crashed[w] || losses < LOST) ->
		losses = losses + (crashed[w] -> 0 : 1);
		printf("worker %d loses the connection of its batch: rolled back\n", NAME(w));
		lose_batch(w)
	  }
	:: d_step { !crashed[w] && crashes < CRASHES ->
		crashes++;
		crashed[w] = true;
		leads[w] = 0;
		draining[w] = false;
		printf("worker %d is killed\n", NAME(w))
	  }
	:: d_step { crashed[w] && !IS_UNDER_WAY(w) && held[w] + at[w] + upTo[w] > 0 ->
		batch[w] = none;
		held[w] = 0;
		at[w] = 0;
		upTo[w] = 0
	  }
	:: d_step { !silent[w] && (crashed[w] || silences < SILENCES) ->
		silences = silences + (crashed[w] -> 0 : 1);
		silent[w] = true;
		printf("worker %d has been silent for too long\n", NAME(w))
	  }
	:: d_step { silent[w] && registered[w] && !crashed[w] ->
		silent[w] = false;
		printf("worker %d is heard again\n", NAME(w))
	  }
	od
}

proctype Grace() {
end:
	do
	:: d_step { assignee != NOBODY && !graceIsOver ->
		graceIsOver = true;
		printf("the owner before has had its grace\n")
	  }
	od
}

init {
	byte w;
	atomic {
		do
		:: w == WORKERS -> break
		:: else ->
			batch[w] = none;
			run Leader(w);
			run Loop(w);
			run Fate(w);
			w++
		od;
		run Grace()
	}
}
