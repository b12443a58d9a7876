// Package hack tests the scripts of this folder.
package hack
