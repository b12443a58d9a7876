// Package queue has work done beside the controllers: items that wait in a queue for one of a bounded number of workers,
// and wake-ups of a controller by those who know more than they did.
package queue
