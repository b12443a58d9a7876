package stripped

import "sync"

// mostShared bounds the texts that are remembered. A cluster has fewer nodes, zones, namespaces and names of ports.
const mostShared = 1 << 16

// sharedTexts keeps one copy of each text that many objects have, such as the name of a node.
type sharedTexts struct {
	mu    sync.Mutex
	texts map[string]*string
}

func (t *sharedTexts) share(text string) string { return *t.pointer(text) }

// sharePointer is for optional texts.
func (t *sharedTexts) sharePointer(text *string) *string {
	if text == nil {
		return nil
	}
	return t.pointer(*text)
}

func (t *sharedTexts) pointer(text string) *string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.texts[text]; ok {
		return have
	}
	if t.texts == nil || len(t.texts) >= mostShared {
		// Those in use live on in the objects; they are only not shared with newer ones.
		t.texts = map[string]*string{}
	}
	t.texts[text] = &text
	return &text
}

// sharedBools are what optional bools of stripped objects point to: nothing in a cache is changed in place.
var sharedTrue, sharedFalse = true, false

func shareBool(b *bool) *bool {
	switch {
	case b == nil:
		return nil
	case *b:
		return &sharedTrue
	}
	return &sharedFalse
}
