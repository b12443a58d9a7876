package load

import "context"

// places are what calls under way take; nil ones are without number.
type places chan struct{}

func newPlaces(number int) places {
	if number == 0 {
		return nil
	}
	return make(places, number)
}

// take waits for a place, and reports false if the context ends before there is one.
func (p places) take(ctx context.Context) bool {
	if p == nil {
		return true
	}
	select {
	case p <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p places) leave() {
	if p != nil {
		<-p
	}
}
