"""What is measured: the segmentation that learns from an arm, overlap of masks, and the Frechet distance of images."""
