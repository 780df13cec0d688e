/*
 * The settled position: transactions draw positions and commit late or never, a tracker finds out up to where nothing can appear any
 * more, a consumer reads up to there.
 *
 * Every step is one statement, as the database executes it: what stands in one atomic block sees one snapshot. Sets are masks, with
 * bit 1 for the first position. What each step stands for, and what is left out: docs/model.md.
 */

/* Sizes; those of a whole check. */
#ifndef SLOTS
#define SLOTS 3 /* transactions in one run of the server */
#endif
#ifndef POSITIONS
#define POSITIONS 4 /* highest position drawn */
#endif
#ifndef RESTARTS
#define RESTARTS 1 /* crashes of the server */
#endif
#ifndef FAILURES
#define FAILURES 1 /* lost connections of the tracker */
#endif
#define DRAWS 2 /* positions that one transaction draws at most */

#define BIT(n) (1 << (n))
#define UP_TO(n) ((BIT((n) + 1)) - 2)

/* Under what name a transaction holds its lock. Prepared it has another one, and yet another after a restart. */
#define RUNNING_ID(t) BIT(t)
#define PREPARED_ID(t) BIT(SLOTS * (1 + serverRun) + (t))
#define PREPARED_IDS ((BIT(3 * SLOTS) - 1) & ~(BIT(SLOTS) - 1))

mtype:phase = { idle, open, prepared, committing, over };

/* The server. */
byte drawn; /* last position drawn */
byte visible; /* positions of committed events */
byte serverRun; /* how often it has been restarted */
short holders; /* who holds the lock on the log, by name */
mtype:phase phase[SLOTS];
byte own[SLOTS]; /* positions that each transaction has drawn */
byte draws[SLOTS];

/* The tracker: what it publishes, and what it knows. */
bool known; /* the settled position is published */
byte settled;
byte failures;
byte holes; /* holes being waited for, lowest first */
byte upTo[POSITIONS];
short waitingFor[POSITIONS];
bool looked[POSITIONS];
bool preparedAdded[POSITIONS];
#ifdef BREAK_SNAPSHOT
byte scanned; /* what was visible to the last scan */
#endif

/* The consumer. */
byte checkpoint;
byte handled; /* positions whose effects are committed */

inline say_set(set) {
	saying = 1;
	do
	:: saying > POSITIONS -> break
	:: else ->
		if
		:: set & BIT(saying) -> printf(" %d", saying)
		:: else
		fi;
		saying++
	od;
	saying = 0
}

inline highest(set, result) {
	result = POSITIONS;
	do
	:: result > 0 && !(set & BIT(result)) -> result--
	:: else -> break
	od
}

inline commit_transaction() {
	printf("transaction %d commits; now visible:", t + 1);
	say_set(own[t]);
	printf("\n");
	/* What settled means: nothing at or below it can appear any more. */
	if
	:: known && (own[t] & UP_TO(settled)) ->
		printf("BROKEN an event appears at or below the settled position %d\n", settled);
		assert(false)
	:: own[t] & UP_TO(checkpoint) ->
		printf("BROKEN an event appears at or below the checkpoint %d\n", checkpoint);
		assert(false)
	:: else
	fi;
	visible = visible | own[t];
	own[t] = 0
}

proctype Transaction(byte t) {
	byte saying;
end:
	do
	:: d_step { phase[t] == idle && (t == 0 || phase[t - 1] != idle) ->
		phase[t] = open;
		/* The table's lock comes before the first position. */
		holders = holders | RUNNING_ID(t);
		printf("transaction %d begins to append: it holds the lock\n", t + 1)
	  }
	:: d_step { phase[t] == open && drawn < POSITIONS && draws[t] < DRAWS ->
		drawn++;
		draws[t]++;
		own[t] = own[t] | BIT(drawn);
		printf("transaction %d draws position %d\n", t + 1, drawn)
	  }
	:: d_step { phase[t] == open && own[t] ->
		phase[t] = prepared;
		holders = (holders & ~RUNNING_ID(t)) | PREPARED_ID(t);
		printf("transaction %d is prepared: its lock has another name\n", t + 1)
	  }
	:: d_step { (phase[t] == open || phase[t] == prepared) && own[t] ->
#ifdef BREAK_RELEASE
		phase[t] = committing;
		holders = holders & ~(RUNNING_ID(t) | PREPARED_ID(t));
		printf("transaction %d lets go of its lock, before its outcome is visible\n", t + 1)
#else
		phase[t] = committing;
		commit_transaction()
#endif
	  }
	:: d_step { phase[t] == committing ->
#ifdef BREAK_RELEASE
		commit_transaction();
#else
		/* Not before what was written is visible. */
		holders = holders & ~(RUNNING_ID(t) | PREPARED_ID(t));
		printf("transaction %d lets go of its lock\n", t + 1);
#endif
		phase[t] = over;
		draws[t] = 0
	  }
	:: d_step { phase[t] == open || phase[t] == prepared ->
		holders = holders & ~(RUNNING_ID(t) | PREPARED_ID(t));
		own[t] = 0;
		draws[t] = 0;
		phase[t] = over;
		printf("transaction %d rolls back\n", t + 1)
	  }
	od
}

/* Crashes: what was open is rolled back, what was prepared stays under another name, and positions are drawn again. */
proctype Server() {
	byte t, durable;
end:
	do
	:: d_step { serverRun < RESTARTS ->
		printf("the server crashes and starts again\n");
		durable = visible;
		holders = 0;
		serverRun++;
		do
		:: t == SLOTS -> break
		:: else ->
			if
			:: phase[t] == prepared ->
				durable = durable | own[t];
				holders = holders | PREPARED_ID(t)
			:: else ->
				/* Names of transactions begin anew with every run of the server. */
				own[t] = 0;
				draws[t] = 0;
				phase[t] = idle
			fi;
			t++
		od;
		highest(durable, drawn);
		t = 0;
		durable = 0
	  }
	od
}

inline forget() {
	known = false;
	settled = 0;
	drop = holes;
	clear_holes(drop);
	drop = 0
}

inline forget_run() {
	printf("tracker finds another run of the server, and forgets\n");
	forget()
}

/* Keeps the holes above a position. */
inline clear_holes(first) {
	i = 0;
	do
	:: i + first >= holes -> break
	:: else ->
		upTo[i] = upTo[i + first];
		waitingFor[i] = waitingFor[i + first];
		looked[i] = looked[i + first];
		preparedAdded[i] = preparedAdded[i + first];
		i++
	od;
	do
	:: holes <= i -> break
	:: else ->
		holes--;
		upTo[holes] = 0;
		waitingFor[holes] = 0;
		looked[holes] = false;
		preparedAdded[holes] = false
	od;
	i = 0
}

/* Of neighbours behind the first hole that wait for the same, the last one says it all. */
inline merge_holes() {
	i = 1;
	do
	:: i + 1 >= holes -> break
	:: else ->
		if
		:: looked[i] == looked[i + 1] && waitingFor[i] == waitingFor[i + 1] && preparedAdded[i] == preparedAdded[i + 1] ->
			drop = i;
			do
			:: drop + 1 == holes -> break
			:: else ->
				upTo[drop] = upTo[drop + 1];
				waitingFor[drop] = waitingFor[drop + 1];
				looked[drop] = looked[drop + 1];
				preparedAdded[drop] = preparedAdded[drop + 1];
				drop++
			od;
			holes--;
			upTo[holes] = 0;
			waitingFor[holes] = 0;
			looked[holes] = false;
			preparedAdded[holes] = false;
			drop = 0
		:: else -> i++
		fi
	od;
	i = 0
}

inline open_hole(position) {
	upTo[holes] = position;
	holes++
}

/* observeScan: a run without holes is settled at once, what lies behind a hole is remembered. */
inline observe_scan() {
	do
	:: visible & BIT(position + 1) -> position++
	:: else -> break
	od;
	i = 0;
	do
	:: i < holes && upTo[i] <= position -> i++
	:: else -> break
	od;
	drop = i;
	clear_holes(drop);
	highest(visible, seen);
	if
	:: seen > position && (holes == 0 || seen > upTo[holes - 1]) -> open_hole(seen)
	:: else
	fi;
	drop = 0;
	merge_holes();
	seen = 0
}

/* observeAppenders: who came after the first look does not matter, but for those that were prepared meanwhile. */
inline observe_appenders(present) {
	i = 0;
	drop = 0;
	do
	:: i == holes -> break
	:: else ->
		waitingFor[i] = (looked[i] -> waitingFor[i] & present : present);
		looked[i] = true;
#ifndef BREAK_PREPARED
		if
		:: waitingFor[i] == 0 && !preparedAdded[i] ->
			waitingFor[i] = present & PREPARED_IDS;
			preparedAdded[i] = true
		:: else
		fi;
#endif
		if
		:: waitingFor[i] == 0 -> position = upTo[i]; drop = i + 1
		:: else
		fi;
		i++
	od;
	clear_holes(drop);
	drop = 0;
	merge_holes()
}

proctype Tracker() {
	byte position, i, drop, seen, trustedRun, saying;
	short present;
end:
	do
	:: d_step { !known ->
		position = checkpoint;
		printf("tracker begins: the greatest checkpoint is %d\n", position)
	  }
	  d_step {
		highest(visible, seen);
		if
		:: seen > position -> open_hole(seen)
		:: else
		fi;
#ifdef BREAK_SNAPSHOT
		scanned = visible;
#endif
		printf("tracker begins: the latest position is %d\n", seen);
		seen = 0
	  }
	  d_step {
		trustedRun = serverRun;
		observe_appenders(holders);
		known = true;
		settled = position;
		position = 0;
		printf("tracker looks who is in flight: settled is %d\n", settled)
	  }
	:: d_step { known && failures < FAILURES ->
		failures++;
		printf("tracker loses its connection, and forgets\n");
		forget()
	  }
#ifdef BREAK_ORDER
	:: d_step { known ->
		present = holders;
		printf("tracker looks who is in flight, before it scans\n")
	  }
#else
	:: known ->
#endif
	  d_step {
		if
#ifndef BREAK_RESTART
		:: serverRun != trustedRun -> forget_run()
#endif
		:: else ->
			position = settled;
#ifdef BREAK_SNAPSHOT
			scanned = visible;
#endif
			observe_scan();
			printf("tracker scans: it sees");
			say_set(visible);
			printf("\n")
		fi
	  }
	  if
	  :: known && holes > 0 ->
		d_step {
			if
#ifndef BREAK_RESTART
			:: serverRun != trustedRun -> forget_run()
#endif
			:: else ->
#ifdef BREAK_ORDER
				observe_appenders(present)
#else
				printf("tracker looks who is in flight\n");
				observe_appenders(holders)
#endif
			fi
		}
	  :: else
	  fi;
	  d_step {
		if
		:: known && position > settled ->
			settled = position;
			printf("tracker: settled is %d\n", settled)
		:: else
		fi;
		position = 0;
		present = 0
	  }
	od
}

inline begin_page(rowsAtMost) {
	/* Taken before the statement that reads. */
	bound = settled;
	limit = rowsAtMost
}

inline page() {
	d_step {
		last = checkpoint;
		do
		:: count < limit && last < bound ->
			last++;
			if
#ifdef BREAK_SNAPSHOT
			:: scanned & BIT(last) ->
#else
			:: visible & BIT(last) ->
#endif
				rows = rows | BIT(last);
				count++
			:: else
			fi
		:: else -> break
		od;
		printf("consumer reads (%d, %d], at most %d: it gets", checkpoint, bound, limit);
		say_set(rows);
		printf("\n");
#ifdef BREAK_PAGE
		last = bound;
#else
		/* Only a page that was not cut reaches as far as was asked for. */
		if
		:: count < limit -> last = bound
		:: else
		fi;
#endif
		count = 0;
		limit = 0;
		bound = 0
	};
	d_step {
		assert(!(handled & rows));
		handled = handled | rows;
		checkpoint = last;
		rows = 0;
		last = 0;
		printf("consumer commits: its checkpoint is %d\n", checkpoint);
		if
		:: (visible & UP_TO(checkpoint)) != handled ->
			printf("BROKEN the checkpoint %d has passed events that were not handled:", checkpoint);
			say_set((visible & UP_TO(checkpoint) & ~handled));
			printf("\n");
			assert(false)
		:: else
		fi
	}
}

/* Reads a page up to the settled position, handles it, and commits effects and checkpoint together. */
proctype Consumer() {
	byte bound, rows, last, limit, count, saying;
end:
	do
	:: d_step { known && checkpoint < settled -> begin_page(1) }
	   page()
	:: d_step { known && checkpoint < settled -> begin_page(2) }
	   page()
	od
}

init {
	byte t;
	atomic {
		do
		:: t == SLOTS -> break
		:: else -> phase[t] = idle; run Transaction(t); t++
		od;
		run Server();
		run Tracker();
		run Consumer()
	}
}
