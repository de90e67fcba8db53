"""The latency of a tflite model on a device, predicted by a model that is calibrated on published measurements.

    terms       what an operator asks for: MACs by kernel class, bytes, elements, calls
    cores       what a core's datasheet promises for one unit of each term: the prior
    effects     which corrections to the prior a setup (device, runtime, threads) shares with others
    fitting     the fit: corrections in log space, pulled towards the level above, robust loss (numpy; not at run time)
    held_out    the error of the fit: families and devices left out (not at run time)
    fit_file    the fit as package data, written by `benchmarks/fit_predictor.py`
    calibrated  the prediction of one workload, with its intervals
    energy      energy per inference

The latency of one inference is a sum over terms:

    latency = sum over terms j of  amount_j * prior_j * exp(sum over effects e of beta[e, j])

`amount_j` comes from the workload, `prior_j` (seconds a unit) from the datasheet, and the effects are the chain
all devices -> runtime -> core -> device -> setup, so that a device with few measurements, or none, leans on the rest.
"""
