package signals

import (
	"errors"
	"fmt"

	"github.com/prometheus/common/model"
)

// counters are samples that have to be counters.
func counters(samples []promSample) ([]promSample, error) {
	for _, sample := range samples {
		if sample.histogram != nil {
			return nil, errors.New("the result is a histogram and not a counter")
		}
		if err := checkCounter("the result", sample.value); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// histograms are samples that have to be histograms: native ones, or the buckets of classic ones, which are put together.
func histograms(samples []promSample) ([]promSample, error) {
	type parts struct {
		labels  model.Metric
		buckets []cumulative
	}
	byLabels := map[model.Fingerprint]*parts{}
	var out []promSample
	for _, sample := range samples {
		if sample.histogram != nil {
			out = append(out, sample)
			continue
		}
		le, has := sample.labels[model.BucketLabel]
		if !has {
			return nil, errors.New("the result is no histogram: ask for native histograms, or for the series _bucket with their label le")
		}
		bound, err := upperBound(string(le))
		if err != nil {
			return nil, err
		}
		if err := checkCounter("a bucket", sample.value); err != nil {
			return nil, err
		}
		labels := sample.labels.Clone()
		delete(labels, model.BucketLabel)
		key := labels.Fingerprint()
		if byLabels[key] == nil {
			byLabels[key] = &parts{labels: labels}
		}
		byLabels[key].buckets = append(byLabels[key].buckets, cumulative{bound, sample.value})
	}
	if len(out) > 0 && len(byLabels) > 0 {
		return nil, fmt.Errorf("the result has native histograms and buckets of classic ones, which would count calls twice: ask for one of them")
	}
	for _, of := range byLabels {
		histogram, err := classic(of.buckets)
		if err != nil {
			return nil, err
		}
		out = append(out, promSample{labels: of.labels, histogram: histogram})
	}
	return out, nil
}
