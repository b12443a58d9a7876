// Package signals gathers what is known of the backends of an ExposedService: how many of their
// endpoints are ready, and how many calls they answered and failed since the last look. It gathers
// and does not judge. Whatever keeps a source from knowing (it is down, slow, empty, or lies about
// the time) makes its counts unknown, with the reason, and never makes a backend look bad.
//
// A [Source] is made for one ExposedService and kept from look to look, because it remembers the
// counters that it has seen. It counts no call twice: where two readings of a counter leave open
// how many calls lie between them, it counts the least that it can have been. Calls can be missed: those
// before the first look, and those that nobody could see because what counted them was gone before
// the next look.
//
// A call ends with an outcome, or because whoever made it gave it up. A backend that lets calls hang has few
// outcomes and no errors, so that what was given up, what has begun and what is under way are counted as well, where a source knows them.
package signals
