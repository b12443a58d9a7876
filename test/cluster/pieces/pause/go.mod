module github.com/headgate/headgate/test/cluster/pieces/pause

go 1.26
