"""What is measured: the segmentation that learns from an arm, overlap of masks, and how generated images differ."""
