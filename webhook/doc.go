// Package webhook asks a webhook whether a rollout may leave a step.
//
// A question is an HTTP POST, signed as Standard Webhooks has it (https://www.standardwebhooks.com), so that receivers can verify it
// with a library of theirs. Only a status of 200 agrees; everything else is a no, with words for people that say what was answered, or
// why nothing was. One call is one attempt: whoever calls decides when to ask again.
package webhook
