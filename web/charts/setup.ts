// The parts of chart.js in use, registered once. Nothing outside this folder imports chart.js.
import { Chart, LinearScale, LineController, LineElement, PointElement, TimeScale } from "chart.js";
import "chartjs-adapter-date-fns";

Chart.register(LineController, LineElement, PointElement, LinearScale, TimeScale);
Chart.defaults.font.family = '"Inter Variable", system-ui, sans-serif';
Chart.defaults.font.size = 12;
Chart.defaults.animation = false;

export { Chart };
